#ifndef FAIRLEAD_JSON_H
#define FAIRLEAD_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* Copies the string `name` of the outermost object; `out` stays as it is when there is none that fits. False = not JSON as far as seen. */
bool find_string(const char *json, const char *name, char *out, size_t size);

/* Finds the object `name` of the outermost object. False = there is none. */
bool find_object(const char *json, const char *name, const char **start, size_t *length);

#endif
