/* What JavaScript may call and is not in socket.c. Contracts: ../addon.ts. */
#ifndef FAIRLEAD_FUNCTIONS_H
#define FAIRLEAD_FUNCTIONS_H

#include <node_api.h>

/* exchange.c */
napi_value js_exchange(napi_env env, napi_callback_info info);
/* poll.c */
napi_value js_poll_start(napi_env env, napi_callback_info info);
napi_value js_poll_stop(napi_env env, napi_callback_info info);
napi_value js_poll_unref(napi_env env, napi_callback_info info);

#endif
