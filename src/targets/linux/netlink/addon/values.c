#include "values.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

napi_value undefined(napi_env env) {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}

napi_value number(napi_env env, int64_t n) {
  napi_value value;
  napi_create_int64(env, n, &value);
  return value;
}

napi_value copy_of(napi_env env, const void *data, size_t length) {
  napi_value value;
  napi_create_buffer_copy(env, length, data, NULL, &value);
  return value;
}

napi_value error_of(napi_env env, const char *syscall, int number_of_error) {
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

napi_value fail(napi_env env, const char *syscall, int number_of_error) {
  napi_throw(env, error_of(env, syscall, number_of_error));
  return NULL;
}

napi_value bad_argument(napi_env env) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "wrong argument for the socket addon");
  return NULL;
}

bool arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *out) {
  size_t count = MAX_ARGUMENTS;
  for (size_t i = 0; i < MAX_ARGUMENTS; i++) out[i] = undefined(env);
  napi_get_cb_info(env, info, &count, out, NULL, NULL);
  if (count >= wanted) return true;
  bad_argument(env);
  return false;
}

bool integer(napi_env env, napi_value value, int *out) {
  if (napi_get_value_int32(env, value, out) == napi_ok) return true;
  bad_argument(env);
  return false;
}

bool present(napi_env env, napi_value value) {
  napi_valuetype type;
  return napi_typeof(env, value, &type) == napi_ok && type != napi_undefined && type != napi_null;
}

bool bytes(napi_env env, napi_value value, Bytes *out) {
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
