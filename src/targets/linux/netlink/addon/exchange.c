/* Questions that the kernel takes long to answer, asked in a thread of the pool. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "functions.h"
#include "values.h"

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
napi_value js_exchange(napi_env env, napi_callback_info info) {
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
