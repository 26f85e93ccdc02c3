/* Arguments, results and errors of the addon's functions. A function that answers `false` or NULL has thrown in JavaScript. */
#ifndef FAIRLEAD_VALUES_H
#define FAIRLEAD_VALUES_H

#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>

#define MAX_ARGUMENTS 6

typedef struct {
  uint8_t *data;
  size_t length;
} Bytes;

napi_value undefined(napi_env env);
napi_value number(napi_env env, int64_t n);
napi_value copy_of(napi_env env, const void *data, size_t length);

/* `Error: SYSCALL: words of errno` with code, errno and syscall. */
napi_value error_of(napi_env env, const char *syscall, int number_of_error);
napi_value fail(napi_env env, const char *syscall, int number_of_error);
napi_value bad_argument(napi_env env);

/* The arguments of a call; those that were not given are `undefined`. Fewer than `wanted` are an error. */
bool arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *out);
bool integer(napi_env env, napi_value value, int *out);
bool present(napi_env env, napi_value value);
/* A Uint8Array (or Buffer), its own window of the memory and no more. */
bool bytes(napi_env env, napi_value value, Bytes *out);

#endif
