/*
 * CNI plugin `fairlead`, last in the chain: hands the CNI request to this node's agent and its answer back, so that a pod's rules are
 * in the kernel before its first container starts; then the pod's neighbours are told of it (announce.c). See README.md.
 *
 * CNI specification 1.1 (containernetworking/cni SPEC.md): parameters in CNI_* variables, configuration on stdin, result or error
 * object on stdout. All buffers are fixed, every wait has an end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "announce.h"
#include "json.h"

#define DEFAULT_VERSION "1.0.0"

enum {
    LARGEST_CONF = 1 << 20, /* the agent takes no larger body */
    LARGEST_HEAD = 12 << 10, /* Node.js takes 16 KiB of request line and headers */
    LARGEST_REPLY = (1 << 20) + (16 << 10),
    STEP_MS = 50,
};

/* Milliseconds; tests are built with shorter ones. */
#ifndef PATIENCE
enum {
    STDIN_MS = 10000,
    ANSWER_MS = 45000, /* the agent itself gives up after 30 s */
    AWAY_MS = 10000, /* how long an agent that is away is waited for: a restart takes one or two seconds */
    PARTING_MS = 5000, /* DEL and GC wait no longer: nothing may hold up a pod's end */
    TOTAL_MS = 60000,
};
#else
enum { STDIN_MS = PATIENCE, ANSWER_MS = PATIENCE, AWAY_MS = PATIENCE, PARTING_MS = PATIENCE, TOTAL_MS = 6 * PATIENCE };
#endif

/* Error codes of the specification, section "Error". */
enum { BAD_ENVIRONMENT = 4, IO_FAILURE = 5, BAD_JSON = 6, BAD_CONFIGURATION = 7, TRY_AGAIN = 11, NOT_AVAILABLE = 50, INTERNAL = 100 };

enum answer { ANSWERED, AWAY, SILENT, GARBAGE };

static char conf[LARGEST_CONF + 1];
static size_t conf_length;
static char head[LARGEST_HEAD];
static size_t head_length;
static char reply[LARGEST_REPLY + 1];
static char version[32] = DEFAULT_VERSION;
/* Empty when the configuration has none: there are no rules to wait for, and nobody is asked. */
static char socket_path[sizeof ((struct sockaddr_un *)0)->sun_path];

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void put(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t done = write(STDOUT_FILENO, bytes, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        bytes += done;
        length -= (size_t)done;
    }
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

static void put_json(const char *text)
{
    put_text("\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        char escaped[8];
        if (c == '"' || c == '\\')
            put((char[]){ '\\', (char)c }, 2);
        else if (c < 0x20 || c >= 0x7f) /* also bytes that may be half a character */
            put(escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
        else
            put(text, 1);
    }
    put_text("\"");
}

/* Prints the error object and gives the exit code. */
static int fail(int code, const char *msg, const char *details)
{
    char number[16];
    snprintf(number, sizeof number, "%d", code);
    put_text("{\"cniVersion\":");
    put_json(version);
    put_text(",\"code\":");
    put_text(number);
    put_text(",\"msg\":");
    put_json(msg);
    put_text(",\"details\":");
    put_json(details);
    put_text("}\n");
    return 1;
}

/* -- The request ------------------------------------------------------------------------------------------------------------- */

/* What is written past the end is counted and not kept: the caller looks at head_length once. */
static void head_add(const char *format, ...)
{
    size_t left = head_length < sizeof head ? sizeof head - head_length : 0;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(left > 0 ? head + head_length : NULL, left, format, arguments);
    va_end(arguments);
    if (length > 0)
        head_length += (size_t)length;
}

/* RFC 3986 section 2.1, everything but letters, digits and `-_.`. */
static void head_add_parameter(const char *name, const char *value)
{
    head_add("&%s=", name);
    for (; value != NULL && *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '_' || c == '.';
        head_add(plain ? "%c" : "%%%02X", c);
        if (head_length >= sizeof head)
            return;
    }
}

static bool write_head(const char *command)
{
    head_add("POST /v1/cni?command=%s", command);
    head_add_parameter("containerId", getenv("CNI_CONTAINERID"));
    head_add_parameter("netns", getenv("CNI_NETNS"));
    head_add_parameter("ifname", getenv("CNI_IFNAME"));
    head_add_parameter("args", getenv("CNI_ARGS"));
    head_add(" HTTP/1.1\r\nHost: agent\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             conf_length);
    return head_length < sizeof head;
}

/* Everything on stdin up to its end. Gives a reason when that is not possible. */
static const char *read_conf(void)
{
    long long end = now_ms() + STDIN_MS;
    for (;;) {
        long long left = end - now_ms();
        struct pollfd wait = { .fd = STDIN_FILENO, .events = POLLIN };
        int ready = left > 0 ? poll(&wait, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0)
            return "stdin was not closed in time";
        ssize_t got = read(STDIN_FILENO, conf + conf_length, sizeof conf - conf_length);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return strerror(errno);
        if (got == 0)
            break;
        conf_length += (size_t)got;
        if (conf_length >= sizeof conf)
            return "it is larger than 1 MiB";
    }
    conf[conf_length] = '\0';
    if (strlen(conf) != conf_length)
        return "it has a zero byte in it";
    return NULL;
}

/* -- The exchange ------------------------------------------------------------------------------------------------------------ */

static bool wait_for(int fd, short events, long long end)
{
    for (;;) {
        long long left = end - now_ms();
        struct pollfd wait = { .fd = fd, .events = events };
        int ready = left > 0 ? poll(&wait, 1, (int)left) : 0;
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return true; /* a fault shows in the call that follows */
        if (ready == 0)
            return false;
    }
}

/* False when the time is over. An agent that has hung up early may still have answered, so that is no failure here. */
static bool send_all(int fd, const char *bytes, size_t length, long long end)
{
    while (length > 0) {
        ssize_t done = send(fd, bytes, length, MSG_NOSIGNAL);
        if (done >= 0) {
            bytes += done;
            length -= (size_t)done;
        } else if (errno == EAGAIN) {
            if (!wait_for(fd, POLLOUT, end))
                return false;
        } else if (errno != EINTR) {
            return true;
        }
    }
    return true;
}

/* Looks at what has come so far. SILENT = go on reading. */
static enum answer parse_reply(size_t length, int *status, char **body, size_t *body_length)
{
    static const char start[] = "HTTP/1.1 ";
    size_t known = length < sizeof start - 1 ? length : sizeof start - 1;
    if (memcmp(reply, start, known) != 0)
        return GARBAGE;
    char *end = memmem(reply, length, "\r\n\r\n", 4);
    if (end == NULL)
        return length >= LARGEST_HEAD ? GARBAGE : SILENT;
    *status = atoi(reply + sizeof start - 1);
    if (*status < 100 || *status > 599)
        return GARBAGE;
    *end = '\0';
    const char *field = strcasestr(reply, "\r\ncontent-length:");
    *end = '\r';
    if (field == NULL)
        return GARBAGE;
    char *after;
    errno = 0;
    unsigned long long wanted = strtoull(field + 17, &after, 10);
    if (errno != 0 || *after != '\r' || wanted > LARGEST_CONF)
        return GARBAGE;
    *body = end + 4;
    *body_length = (size_t)wanted;
    return length - (size_t)(*body - reply) >= wanted ? ANSWERED : SILENT;
}

static enum answer receive(int fd, long long end, int *status, char **body, size_t *body_length)
{
    size_t length = 0;
    for (;;) {
        if (!wait_for(fd, POLLIN, end))
            return SILENT;
        ssize_t got = recv(fd, reply + length, LARGEST_REPLY - length, 0);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return AWAY; /* it ended in the middle */
        length += (size_t)got;
        reply[length] = '\0';
        enum answer answer = parse_reply(length, status, body, body_length);
        if (answer != SILENT)
            return answer;
        if (length >= LARGEST_REPLY)
            return GARBAGE;
    }
}

static enum answer ask(long long end, int *status, char **body, size_t *body_length)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    strcpy(address.sun_path, socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return AWAY;
    enum answer answer = SILENT;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        answer = AWAY; /* EAGAIN too: so many wait that it cannot take more */
    else if (send_all(fd, head, head_length, end) && send_all(fd, conf, conf_length, end))
        answer = receive(fd, end, status, body, body_length);
    close(fd);
    /* Its socket is open before it is ready to answer. */
    return answer == ANSWERED && *status == 503 ? AWAY : answer;
}

/* DEL and GC ask once. All others go on asking while the agent is away, until it was away for AWAY_MS in one piece. */
static enum answer ask_patiently(bool parting, int *status, char **body, size_t *body_length)
{
    long long begun = now_ms();
    long long away_since = -1;
    for (;;) {
        long long started = now_ms();
        long long left = begun + TOTAL_MS - started;
        long long most = parting ? PARTING_MS : ANSWER_MS;
        enum answer answer = ask(started + (left < most ? left : most), status, body, body_length);
        long long ended = now_ms();
        if (answer != AWAY || parting)
            return answer;
        /* It took the request and went in the middle of it: a new absence. */
        if (away_since < 0 || ended - started > STEP_MS)
            away_since = ended;
        if (ended - away_since >= AWAY_MS || ended - begun >= TOTAL_MS - STEP_MS)
            return AWAY;
        nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000L }, NULL);
    }
}

/* -- Commands ---------------------------------------------------------------------------------------------------------------- */

static bool known(const char *command)
{
    static const char *const commands[] = { "ADD", "DEL", "CHECK", "GC", "STATUS" };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(command, commands[i]) == 0)
            return true;
    return false;
}

static int no_answer(enum answer answer, bool status_asked)
{
    static const char msg[] = "the fairlead agent of this node did not answer";
    char details[512];
    const char *how = answer == AWAY ? "nobody listens on" : answer == SILENT ? "no answer in time on" : "no HTTP answer on";
    snprintf(details, sizeof details,
             "%s %s; the pod stays closed until it runs. Look at it: kubectl get pods -A -o wide -l app.kubernetes.io/name=fairlead",
             how, socket_path);
    return fail(status_asked ? NOT_AVAILABLE : TRY_AGAIN, msg, details);
}

/* The pod is right whether neighbours know of it or not: they find out in less than a minute. */
static void tell_neighbours(void)
{
    const char *netns = getenv("CNI_NETNS"), *ifname = getenv("CNI_IFNAME");
    const char *fault = netns != NULL && ifname != NULL ? announce(netns, ifname) : "CNI_NETNS or CNI_IFNAME is not set";
    if (fault != NULL)
        fprintf(stderr, "fairlead: neighbours of %s were not told its MAC address: %s\n", getenv("CNI_CONTAINERID"), fault);
}

/* Lets the agent decide, prints its answer, and gives the exit code. */
static int leave_to_agent(const char *command, bool parting)
{
    if (!write_head(command))
        return parting ? 0 : fail(BAD_ENVIRONMENT, "the CNI_* variables are too long", "12 KiB together is the limit");
    int status = 0;
    char *body = reply;
    size_t length = 0;
    enum answer answer = ask_patiently(parting, &status, &body, &length);
    if (parting)
        return 0;
    if (answer != ANSWERED)
        return no_answer(answer, strcmp(command, "STATUS") == 0);
    if (status == 200 || status == 422) { /* a result, or an error object */
        if (status == 200 && strcmp(command, "ADD") == 0)
            tell_neighbours();
        put(body, length);
        return status == 200 ? 0 : 1;
    }
    body[length < 400 ? length : 400] = '\0';
    return fail(INTERNAL, "the fairlead agent refused the request", body);
}

/* The result of the plugin before this one, as it is. */
static int pass_on_result(void)
{
    const char *result;
    size_t length;
    if (!find_object(conf, "prevResult", &result, &length))
        return fail(BAD_CONFIGURATION, "plugin fairlead got no result of a plugin before it",
                    "it must come after the plugin that gives the pod its addresses");
    tell_neighbours();
    put(result, length);
    return 0;
}

int main(void)
{
    const char *command = getenv("CNI_COMMAND");
    if (command == NULL)
        return fail(BAD_ENVIRONMENT, "CNI_COMMAND is not set", "this is a CNI plugin: a container runtime calls it");
    if (strcmp(command, "VERSION") == 0) {
        put_text("{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n");
        return 0;
    }
    if (!known(command))
        return fail(BAD_ENVIRONMENT, "unknown CNI_COMMAND", command);

    bool parting = strcmp(command, "DEL") == 0 || strcmp(command, "GC") == 0;
    const char *fault = read_conf();
    if (fault != NULL)
        return parting ? 0 : fail(IO_FAILURE, "cannot read the network configuration", fault);
    bool json = find_string(conf, "cniVersion", version, sizeof version);
    if (!json || !find_string(conf, "socket", socket_path, sizeof socket_path))
        return parting ? 0 : fail(BAD_JSON, "the network configuration is not a JSON object", "");
    if (socket_path[0] != '\0')
        return leave_to_agent(command, parting);
    return strcmp(command, "ADD") == 0 ? pass_on_result() : 0;
}
