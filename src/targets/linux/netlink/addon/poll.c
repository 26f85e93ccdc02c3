/* Readiness of descriptors, through libuv's uv_poll. */
#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#include "functions.h"
#include "values.h"

/*
 * Memory: `Watch` lives until libuv has closed the handle. `stop` may be called twice, and the JavaScript handle may be
 * collected before or after; so the external holds one reference and libuv another.
 */
typedef struct {
  uv_poll_t poll; /* first: a uv_handle_t* is a Watch* */
  napi_env env;
  napi_ref callback;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  int references;
  bool closing;
} Watch;

static void release(Watch *watch) {
  if (--watch->references == 0) free(watch);
}

static void on_closed(uv_handle_t *handle) {
  Watch *watch = (Watch *)handle;
  napi_remove_async_cleanup_hook(watch->cleanup);
  release(watch);
}

static void stop(Watch *watch) {
  if (watch->closing) return;
  watch->closing = true;
  uv_poll_stop(&watch->poll);
  napi_delete_reference(watch->env, watch->callback);
  napi_async_destroy(watch->env, watch->context);
  uv_close((uv_handle_t *)&watch->poll, on_closed);
}

/* The environment (a worker, the process) ends while the watch is open. */
static void on_environment_end(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  stop(data);
}

static void on_collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  release(data);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  Watch *watch = (Watch *)poll;
  napi_env env = watch->env;
  napi_handle_scope scope;
  napi_value callback, receiver, result, argv[2];
  napi_open_handle_scope(env, &scope);
  napi_get_reference_value(env, watch->callback, &callback);
  napi_get_global(env, &receiver);
  argv[0] = number(env, events);
  argv[1] = number(env, status < 0 ? -status : 0);
  if (napi_make_callback(env, watch->context, receiver, callback, 2, argv, &result) == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

/* pollStart(fd, events, callback) -> handle. events: 1 readable, 2 writable, 4 hung up. One handle a descriptor. */
napi_value js_poll_start(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS], name, handle;
  int fd, events, rc;
  uv_loop_t *loop;
  napi_valuetype type;
  if (!arguments(env, info, 3, a) || !integer(env, a[0], &fd) || !integer(env, a[1], &events)) return NULL;
  if (napi_typeof(env, a[2], &type) != napi_ok || type != napi_function) return bad_argument(env);
  Watch *watch = calloc(1, sizeof *watch);
  if (!watch) return fail(env, "poll", ENOMEM);
  napi_get_uv_event_loop(env, &loop);
  if ((rc = uv_poll_init(loop, &watch->poll, fd)) < 0) {
    free(watch);
    return fail(env, "poll", -rc);
  }
  watch->env = env;
  watch->references = 2;
  napi_create_reference(env, a[2], 1, &watch->callback);
  napi_create_string_utf8(env, "fairlead:socket", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &watch->context);
  napi_add_async_cleanup_hook(env, on_environment_end, watch, &watch->cleanup);
  napi_create_external(env, watch, on_collected, NULL, &handle);
  if ((rc = uv_poll_start(&watch->poll, events, on_ready)) < 0) {
    stop(watch);
    return fail(env, "poll", -rc);
  }
  return handle;
}

static Watch *watch_of(napi_env env, napi_callback_info info, napi_value *a) {
  void *data = NULL;
  if (!arguments(env, info, 1, a)) return NULL;
  if (napi_get_value_external(env, a[0], &data) != napi_ok) bad_argument(env);
  return data;
}

napi_value js_poll_stop(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  Watch *watch = watch_of(env, info, a);
  if (!watch) return NULL;
  stop(watch);
  return undefined(env);
}

/* pollUnref(handle): does not keep the process alive. */
napi_value js_poll_unref(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  Watch *watch = watch_of(env, info, a);
  if (!watch) return NULL;
  if (!watch->closing) uv_unref((uv_handle_t *)&watch->poll);
  return undefined(env);
}
