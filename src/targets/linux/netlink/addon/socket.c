/*
 * System calls that Node.js does not offer, and nothing else: sockets of all kinds (netlink, packet, raw), socket options, network
 * namespaces, advice about memory. Every protocol is spoken in TypeScript; `../addon.ts` has the types and the contracts.
 *
 * Plain Node-API 9 and libuv. All calls but `exchange` are synchronous. Failures throw an Error with `code` (EPERM, ...), `errno` and `syscall`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "functions.h"
#include "values.h"

#define MAX_OPTION 65536

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

static napi_value js_getsockname(napi_env env, napi_callback_info info) {
  napi_value a[MAX_ARGUMENTS];
  int fd;
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (!arguments(env, info, 1, a) || !integer(env, a[0], &fd)) return NULL;
  if (getsockname(fd, (struct sockaddr *)&address, &length) < 0) return fail(env, "getsockname", errno);
  return copy_of(env, &address, length);
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

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
      {"socket", js_socket},
      {"close", js_close},
      {"bind", js_bind},
      {"connect", js_connect},
      {"listen", js_listen},
      {"accept", js_accept},
      {"getsockname", js_getsockname},
      {"setsockopt", js_setsockopt},
      {"getsockopt", js_getsockopt},
      {"send", js_send},
      {"recv", js_recv},
      {"recvfrom", js_recvfrom},
      {"exchange", js_exchange},
      {"setns", js_setns},
      {"unshare", js_unshare},
      {"pollStart", js_poll_start},
      {"pollStop", js_poll_stop},
      {"pollUnref", js_poll_unref},
      {"madvise", js_madvise},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
