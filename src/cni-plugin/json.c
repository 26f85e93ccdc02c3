/*
 * JSON, only as much as to find a value of the outermost object. What is not JSON is told when it keeps that from being found.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "json.h"

static const char *skip_space(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
        at++;
    return at;
}

static int hex4(const char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Reads the string that begins at `at`, a quotation mark. Gives what follows it, or NULL when it never ends. `fits` becomes false when
 * it is longer than `out` or has characters that neither a path nor a version has. */
static const char *read_string(const char *at, char *out, size_t size, bool *fits)
{
    size_t length = 0;
    *fits = true;
    for (at++; *at != '"'; at++) {
        int c = (unsigned char)*at;
        if (c == '\0')
            return NULL;
        if (c == '\\') {
            static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
            at++;
            const char *known = *at != '\0' ? strchr(from, *at) : NULL;
            if (known != NULL) {
                c = to[known - from];
            } else if (*at == 'u' && (c = hex4(at + 1)) >= 0) {
                at += 4;
                if (c == 0 || c > 0x7f)
                    *fits = false;
            } else {
                return NULL;
            }
        }
        if (length + 1 < size)
            out[length++] = (char)c;
        else
            *fits = false;
    }
    out[length] = '\0';
    return at + 1;
}

/* Gives what follows the object that begins at `at`, or NULL when it never ends. */
static const char *skip_object(const char *at)
{
    char text[1];
    bool fits;
    int depth = 0;
    while (at != NULL && *at != '\0') {
        if (*at == '"') {
            at = read_string(at, text, sizeof text, &fits);
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
        if (depth == 0)
            return at;
    }
    return NULL;
}

/* Finds where the value `name` of the outermost object begins; NULL when there is none. False = not JSON as far as seen. */
static bool find_value(const char *json, const char *name, const char **value)
{
    char text[256];
    int depth = 0;
    const char *at = skip_space(json);
    *value = NULL;
    if (*at != '{')
        return false;
    while (*at != '\0') {
        if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            depth--;
        } else if (*at == '"') {
            bool fits;
            at = read_string(at, text, sizeof text, &fits);
            if (at == NULL)
                return false;
            const char *next = skip_space(at);
            if (depth != 1 || *next != ':' || !fits || strcmp(text, name) != 0)
                continue;
            *value = skip_space(next + 1);
            return true;
        }
        at++;
    }
    return depth == 0;
}

bool find_string(const char *json, const char *name, char *out, size_t size)
{
    const char *value;
    char text[256];
    bool fits;
    if (!find_value(json, name, &value))
        return false;
    if (value == NULL || *value != '"')
        return true;
    if (read_string(value, text, sizeof text, &fits) == NULL)
        return false;
    if (fits && text[0] != '\0' && strlen(text) < size)
        strcpy(out, text);
    return true;
}

bool find_object(const char *json, const char *name, const char **start, size_t *length)
{
    const char *end;
    *length = 0;
    if (!find_value(json, name, start) || *start == NULL || **start != '{' || (end = skip_object(*start)) == NULL)
        return false;
    *length = (size_t)(end - *start);
    return true;
}
