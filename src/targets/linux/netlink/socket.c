/*
 * System calls that Node.js does not offer, and nothing else: sockets of all kinds (netlink, packet, raw), socket options, network
 * namespaces, advice about memory. Every protocol is spoken in TypeScript; `addon.ts` has the types and the contracts.
 *
 * Plain Node-API 9 and libuv's uv_poll. All calls but `exchange` are synchronous. Failures throw an Error with `code` (EPERM, ...), `errno` and `syscall`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <node_api.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define MAX_ARGUMENTS 6
#define MAX_OPTION 65536

/* ---- arguments, results, errors ---- */

typedef struct {
  uint8_t *data;
  size_t length;
} Bytes;

static napi_value undefined(napi_env env) {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}

static napi_value number(napi_env env, int64_t n) {
  napi_value value;
  napi_create_int64(env, n, &value);
  return value;
}

static napi_value copy_of(napi_env env, const void *data, size_t length) {
  napi_value value;
  napi_create_buffer_copy(env, length, data, NULL, &value);
  return value;
}

/* `Error: SYSCALL: words of errno` with code, errno and syscall. */
static napi_value error_of(napi_env env, const char *syscall, int number_of_error) {
  char text[256];
  napi_value message, code, error, name;
  const char *id = uv_err_name(-number_of_error);
  snprintf(text, sizeof text, "%s: %s (%s)", syscall, strerror(number_of_error), id);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
  napi_create_string_utf8(env, id, NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &name);
  napi_create_error(env, code, message, &error);
  napi_set_named_property(env, error, "errno", number(env, number_of_error));
  napi_set_named_property(env, error, "syscall", name);
  return error;
}

static napi_value fail(napi_env env, const char *syscall, int number_of_error) {
  napi_throw(env, error_of(env, syscall, number_of_error));
  return NULL;
}

static napi_value bad_argument(napi_env env) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "wrong argument for the socket addon");
  return NULL;
}

static bool arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *out) {
  size_t count = MAX_ARGUMENTS;
  for (size_t i = 0; i < MAX_ARGUMENTS; i++) out[i] = undefined(env);
  napi_get_cb_info(env, info, &count, out, NULL, NULL);
  if (count >= wanted) return true;
  bad_argument(env);
  return false;
}

static bool integer(napi_env env, napi_value value, int *out) {
  if (napi_get_value_int32(env, value, out) == napi_ok) return true;
  bad_argument(env);
  return false;
}

static bool present(napi_env env, napi_value value) {
  napi_valuetype type;
  return napi_typeof(env, value, &type) == napi_ok && type != napi_undefined && type != napi_null;
}

/* A Uint8Array (or Buffer), its own window of the memory and no more. */
static bool bytes(napi_env env, napi_value value, Bytes *out) {
  napi_typedarray_type type;
  bool is = false;
  void *data = NULL;
  napi_is_typedarray(env, value, &is);
  if (!is || napi_get_typedarray_info(env, value, &type, &out->length, &data, NULL, NULL) != napi_ok ||
      type != napi_uint8_array) {
    bad_argument(env);
    return false;
  }
  out->data = data;
  return true;
}

/* ---- plain calls ---- */

static napi_value js_socket(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int domain, type, protocol;
  if (!arguments(env, info, 3, a) || !integer(env, a[0], &domain) || !integer(env, a[1], &type) ||
      !integer(env, a[2], &protocol))
    return NULL;
  int fd = socket(domain, type | SOCK_CLOEXEC, protocol);
  return fd < 0 ? fail(env, "socket", errno) : number(env, fd);
}

static napi_value js_close(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int fd;
  if (!arguments(env, info, 1, a) || !integer(env, a[0], &fd)) return NULL;
  return close(fd) < 0 && errno != EINTR ? fail(env, "close", errno) : undefined(env);
}

static napi_value js_bind(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int fd;
  Bytes address;
  if (!arguments(env, info, 2, a) || !integer(env, a[0], &fd) || !bytes(env, a[1], &address)) return NULL;
  if (bind(fd, (struct sockaddr *)address.data, (socklen_t)address.length) < 0) return fail(env, "bind", errno);
  return undefined(env);
}

/* true = connected, false = under way (a non-blocking socket): wait until it is writable, then ask SO_ERROR. */
static napi_value js_connect(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS], result;
  int fd;
  Bytes address;
  if (!arguments(env, info, 2, a) || !integer(env, a[0], &fd) || !bytes(env, a[1], &address)) return NULL;
  int rc = connect(fd, (struct sockaddr *)address.data, (socklen_t)address.length);
  if (rc < 0 && errno != EINPROGRESS) return fail(env, "connect", errno);
  napi_get_boolean(env, rc == 0, &result);
  return result;
}

static napi_value js_listen(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int fd, backlog;
  if (!arguments(env, info, 2, a) || !integer(env, a[0], &fd) || !integer(env, a[1], &backlog)) return NULL;
  return listen(fd, backlog) < 0 ? fail(env, "listen", errno) : undefined(env);
}

/* The descriptor of a new non-blocking socket, or -1 when nobody waits. */
static napi_value js_accept(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int fd;
  if (!arguments(env, info, 1, a) || !integer(env, a[0], &fd)) return NULL;
  int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (peer < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return fail(env, "accept", errno);
  return number(env, peer);
}

static napi_value name_of(napi_env env, napi_callback_info info, const char *syscall,
                          int (*call)(int, struct sockaddr *, socklen_t *)) {
  napi_value a[MAX_ARGUMENTS];
  int fd;
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (!arguments(env, info, 1, a) || !integer(env, a[0], &fd)) return NULL;
  if (call(fd, (struct sockaddr *)&address, &length) < 0) return fail(env, syscall, errno);
  return copy_of(env, &address, length);
}

static int own_name(int fd, struct sockaddr *address, socklen_t *length) { return getsockname(fd, address, length); }
static int peer_name(int fd, struct sockaddr *address, socklen_t *length) { return getpeername(fd, address, length); }

static napi_value js_getsockname(napi_env env, napi_callback_info info) {
  return name_of(env, info, "getsockname", own_name);
}

static napi_value js_getpeername(napi_env env, napi_callback_info info) {
  return name_of(env, info, "getpeername", peer_name);
}

static napi_value js_setsockopt(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int fd, level, name;
  Bytes value;
  if (!arguments(env, info, 4, a) || !integer(env, a[0], &fd) || !integer(env, a[1], &level) ||
      !integer(env, a[2], &name) || !bytes(env, a[3], &value))
    return NULL;
  if (setsockopt(fd, level, name, value.data, (socklen_t)value.length) < 0) return fail(env, "setsockopt", errno);
  return undefined(env);
}

static napi_value js_getsockopt(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int fd, level, name, wanted;
  if (!arguments(env, info, 4, a) || !integer(env, a[0], &fd) || !integer(env, a[1], &level) ||
      !integer(env, a[2], &name) || !integer(env, a[3], &wanted))
    return NULL;
  if (wanted < 0 || wanted > MAX_OPTION) return bad_argument(env);
  uint8_t *value = malloc(wanted == 0 ? 1 : (size_t)wanted);
  if (!value) return fail(env, "getsockopt", ENOMEM);
  socklen_t length = (socklen_t)wanted;
  int rc = getsockopt(fd, level, name, value, &length);
  napi_value result = rc < 0 ? fail(env, "getsockopt", errno) : copy_of(env, value, length);
  free(value);
  return result;
}

/* send(fd, bytes, offset, length, flags, address?) -> bytes sent, or -1 when it would block. */
static napi_value js_send(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int fd, offset, length, flags;
  Bytes data, address = {NULL, 0};
  if (!arguments(env, info, 5, a) || !integer(env, a[0], &fd) || !bytes(env, a[1], &data) ||
      !integer(env, a[2], &offset) || !integer(env, a[3], &length) || !integer(env, a[4], &flags) ||
      (present(env, a[5]) && !bytes(env, a[5], &address)))
    return NULL;
  if (offset < 0 || length < 0 || (size_t)offset > data.length || (size_t)length > data.length - (size_t)offset)
    return bad_argument(env);
  ssize_t n;
  do {
    n = sendto(fd, data.data + offset, (size_t)length, flags | MSG_NOSIGNAL, (struct sockaddr *)address.data,
               (socklen_t)address.length);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return fail(env, "send", errno);
  return number(env, n);
}

/* recv(fd, into, flags) -> bytes received (more than fit with MSG_TRUNC), or -1 when it would block. */
static napi_value js_recv(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int fd, flags;
  Bytes into;
  if (!arguments(env, info, 3, a) || !integer(env, a[0], &fd) || !bytes(env, a[1], &into) ||
      !integer(env, a[2], &flags))
    return NULL;
  ssize_t n;
  do n = recv(fd, into.data, into.length, flags);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return fail(env, "recv", errno);
  return number(env, n);
}

/* recvfrom(fd, into, flags) -> { length, peer } or undefined when it would block. */
static napi_value js_recvfrom(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS], result;
  int fd, flags;
  Bytes into;
  struct sockaddr_storage peer;
  socklen_t peer_length = sizeof peer;
  if (!arguments(env, info, 3, a) || !integer(env, a[0], &fd) || !bytes(env, a[1], &into) ||
      !integer(env, a[2], &flags))
    return NULL;
  ssize_t n;
  do n = recvfrom(fd, into.data, into.length, flags, (struct sockaddr *)&peer, &peer_length);
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? undefined(env) : fail(env, "recvfrom", errno);
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "length", number(env, n));
  napi_set_named_property(env, result, "peer", copy_of(env, &peer, peer_length));
  return result;
}

/* ---- questions that the kernel takes long to answer ---- */

/* Least room for one more answer. */
#define ROOM 65536

typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  napi_ref kept[2];
  int fd;
  Bytes data, into;
  size_t received;
  int error;
  const char *syscall;
} Exchange;

/* In a thread of the pool. It waits for the first answer and takes along what comes with it, as long as there is room. */
static void exchange(napi_env env, void *context) {
  (void)env;
  Exchange *x = context;
  ssize_t n = 0;
  x->syscall = "send";
  if (x->data.length > 0) {
    do n = send(x->fd, x->data.data, x->data.length, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
  }
  if (n >= 0) x->syscall = "recv";
  while (n >= 0 && x->into.length - x->received >= ROOM) {
    size_t room = x->into.length - x->received;
    do n = recv(x->fd, x->into.data + x->received, room, MSG_TRUNC | (x->received > 0 ? MSG_DONTWAIT : 0));
    while (n < 0 && errno == EINTR);
    if (n < 0 && x->received > 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n > 0 && (size_t)n > room) {
      errno = EMSGSIZE;
      n = -1;
    }
    if (n == 0) return;
    if (n > 0) x->received += ((size_t)n + 3) & ~(size_t)3;
    if (x->received > x->into.length) x->received = x->into.length;
  }
  if (n < 0) x->error = errno;
}

static void on_exchanged(napi_env env, napi_status status, void *context) {
  Exchange *x = context;
  int error = status == napi_ok ? x->error : ECANCELED;
  if (error == 0) napi_resolve_deferred(env, x->deferred, number(env, (int64_t)x->received));
  else napi_reject_deferred(env, x->deferred, error_of(env, x->syscall, error));
  for (int i = 0; i < 2; i++) napi_delete_reference(env, x->kept[i]);
  napi_delete_async_work(env, x->work);
  free(x);
}

/* exchange(fd, data, into) -> promise of the bytes received. Neither buffer nor the descriptor may be touched before it is settled. */
static napi_value js_exchange(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS], name, promise;
  int fd;
  Bytes data, into;
  if (!arguments(env, info, 3, a) || !integer(env, a[0], &fd) || !bytes(env, a[1], &data) ||
      !bytes(env, a[2], &into))
    return NULL;
  if (into.length < ROOM) return bad_argument(env);
  Exchange *x = calloc(1, sizeof *x);
  if (!x) return fail(env, "exchange", ENOMEM);
  x->fd = fd;
  x->data = data;
  x->into = into;
  for (int i = 0; i < 2; i++) napi_create_reference(env, a[i + 1], 1, &x->kept[i]);
  napi_create_promise(env, &x->deferred, &promise);
  napi_create_string_utf8(env, "fairlead:exchange", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, exchange, on_exchanged, x, &x->work);
  napi_queue_async_work(env, x->work);
  return promise;
}

/* ---- namespaces: of the calling thread only ---- */

static napi_value js_setns(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int fd, type;
  if (!arguments(env, info, 2, a) || !integer(env, a[0], &fd) || !integer(env, a[1], &type)) return NULL;
  return setns(fd, type) < 0 ? fail(env, "setns", errno) : undefined(env);
}

static napi_value js_unshare(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int flags;
  if (!arguments(env, info, 1, a) || !integer(env, a[0], &flags)) return NULL;
  return unshare(flags) < 0 ? fail(env, "unshare", errno) : undefined(env);
}

/* ---- memory ---- */

static napi_value js_madvise(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int64_t address, length;
  int advice;
  if (!arguments(env, info, 3, a) || !integer(env, a[2], &advice)) return NULL;
  if (napi_get_value_int64(env, a[0], &address) != napi_ok || napi_get_value_int64(env, a[1], &length) != napi_ok)
    return bad_argument(env);
  int rc = madvise((void *)(intptr_t)address, (size_t)length, advice);
  return rc < 0 ? fail(env, "madvise", errno) : undefined(env);
}

/* ---- readiness ---- */

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
static napi_value js_poll_start(napi_env env, napi_callback_info info) {
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

static napi_value js_poll_stop(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  Watch *watch = watch_of(env, info, a);
  if (!watch) return NULL;
  stop(watch);
  return undefined(env);
}

/* pollUnref(handle): does not keep the process alive. */
static napi_value js_poll_unref(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  Watch *watch = watch_of(env, info, a);
  if (!watch) return NULL;
  if (!watch->closing) uv_unref((uv_handle_t *)&watch->poll);
  return undefined(env);
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
      {"socket", js_socket},           {"close", js_close},           {"bind", js_bind},
      {"connect", js_connect},         {"listen", js_listen},         {"accept", js_accept},
      {"getsockname", js_getsockname}, {"getpeername", js_getpeername}, {"setsockopt", js_setsockopt},
      {"getsockopt", js_getsockopt},   {"send", js_send},             {"recv", js_recv},
      {"exchange", js_exchange},
      {"recvfrom", js_recvfrom},       {"setns", js_setns},           {"unshare", js_unshare},
      {"pollStart", js_poll_start},    {"pollStop", js_poll_stop},    {"pollUnref", js_poll_unref},
      {"madvise", js_madvise},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
