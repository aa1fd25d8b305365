#include "cli/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char report_prefix[] = "dfaiss: ";
static const int relayed_signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD};
enum { SIGNALS = sizeof relayed_signals / sizeof relayed_signals[0] };

/* A pipe from the child; end -1 when it is closed. */
typedef struct stream {
    int from, to;
    int child_end;
    bool used;      /* bytes came */
    bool reported;  /* a line began with report_prefix */
    size_t matched; /* characters of it seen since the line began; beyond its length: this line is another one */
} stream_t;

typedef struct relay {
    stream_t streams[2]; /* stdout, stderr */
    int signals[2];
    pid_t child;
    struct sigaction before[SIGNALS];
    bool handlers_set;
    int passed; /* the last signal passed on that ends the job */
    bool ended;
    int status;
} relay_t;

/* Written by the signal handler, read by the loop: a pipe and not a flag, so that a signal between the look and the wait is not lost. */
static int signal_pipe = -1;

static void note_signal(int number) {
    int failure = errno;
    unsigned char byte = (unsigned char)number;
    ssize_t ignored = write(signal_pipe, &byte, 1);
    (void)ignored;
    errno = failure;
}

static void close_end(int *end) {
    if (*end >= 0)
        close(*end);
    *end = -1;
}

static void relay_clear(relay_t *relay) {
    for (int i = 0; relay->handlers_set && i < SIGNALS; i++)
        sigaction(relayed_signals[i], &relay->before[i], NULL);
    for (int i = 0; i < 2; i++) {
        close_end(&relay->streams[i].from);
        close_end(&relay->streams[i].child_end);
        close_end(&relay->signals[i]);
    }
}

static dfaiss_status_t open_pipes(relay_t *relay, dfaiss_error_t *err) {
    *relay = (relay_t){.signals = {-1, -1}, .child = -1};
    for (int i = 0; i < 2; i++)
        relay->streams[i] = (stream_t){.from = -1, .to = i == 0 ? STDOUT_FILENO : STDERR_FILENO, .child_end = -1};
    if (pipe2(relay->signals, O_CLOEXEC | O_NONBLOCK) != 0)
        return error_system(err, "make a pipe for", "signals", errno);
    for (int i = 0; i < 2; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            return error_system(err, "make a pipe for", "mpirun", errno);
        relay->streams[i].from = ends[0];
        relay->streams[i].child_end = ends[1];
    }
    return DFAISS_OK;
}

static void set_handlers(relay_t *relay) {
    signal_pipe = relay->signals[1];
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++)
        sigaction(relayed_signals[i], &action, &relay->before[i]);
    relay->handlers_set = true;
}

/* Only what is safe after fork; the exec gives the handled signals their defaults back. */
static void become_child(const relay_t *relay, char *const *argv, pid_t parent) {
    int empty = open("/dev/null", O_RDONLY);
    if (setpgid(0, 0) != 0 || empty < 0 || dup2(empty, STDIN_FILENO) < 0 || dup2(relay->streams[0].child_end, STDOUT_FILENO) < 0 ||
        dup2(relay->streams[1].child_end, STDERR_FILENO) < 0)
        _exit(127);
    /* No job without the process that its user can see. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(127);
    execv(argv[0], argv);
    _exit(127);
}

static dfaiss_status_t start(relay_t *relay, char *const *argv, dfaiss_error_t *err) {
    pid_t parent = getpid();
    relay->child = fork();
    if (relay->child < 0)
        return error_system(err, "start", argv[0], errno);
    if (relay->child == 0)
        become_child(relay, argv, parent);
    close_end(&relay->streams[0].child_end);
    close_end(&relay->streams[1].child_end);
    return DFAISS_OK;
}

/* Looks for report_prefix at the start of a line, or of what overwrites one on a terminal. */
static void look_for_report(stream_t *stream, const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\r')
            stream->matched = 0;
        else if (stream->matched < sizeof report_prefix - 1 && bytes[i] == report_prefix[stream->matched])
            stream->matched++;
        else
            stream->matched = sizeof report_prefix;
        if (stream->matched == sizeof report_prefix - 1)
            stream->reported = true;
    }
}

static void write_all(int to, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t put = write(to, bytes, size);
        if (put < 0 && errno != EINTR)
            return;
        if (put > 0) {
            bytes += put;
            size -= (size_t)put;
        }
    }
}

static void pass_on(stream_t *stream) {
    char bytes[65536];
    ssize_t got = read(stream->from, bytes, sizeof bytes);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0) {
        close_end(&stream->from);
        return;
    }
    stream->used = true;
    look_for_report(stream, bytes, (size_t)got);
    write_all(stream->to, bytes, (size_t)got);
}

/* The first SIGTERM asks for a checkpoint; whoever sends another one does not want to wait for it. */
static int signal_to_send(const relay_t *relay, int number) {
    return number == SIGTERM && relay->passed != SIGTERM ? SIGUSR2 : number;
}

static void take_signals(relay_t *relay) {
    unsigned char numbers[64];
    ssize_t got = read(relay->signals[0], numbers, sizeof numbers);
    for (ssize_t i = 0; i < got; i++) {
        if (numbers[i] == SIGCHLD) {
            relay->ended = relay->ended || waitpid(relay->child, &relay->status, WNOHANG) == relay->child;
        } else if (!relay->ended) {
            kill(relay->child, signal_to_send(relay, numbers[i]));
            relay->passed = numbers[i] == SIGUSR1 ? relay->passed : numbers[i];
        }
    }
}

/* Until the child has ended, and what it had printed by then is passed on. */
static void serve(relay_t *relay) {
    stream_t *streams = relay->streams;
    for (;;) {
        struct pollfd polled[] = {
            {.fd = relay->signals[0], .events = POLLIN}, {.fd = streams[0].from, .events = POLLIN}, {.fd = streams[1].from, .events = POLLIN}};
        int ready = poll(polled, 3, relay->ended ? 0 : -1);
        if (ready < 0 && errno != EINTR)
            return;
        if (ready == 0)
            return;
        if (ready < 0)
            continue;
        if (polled[0].revents)
            take_signals(relay);
        for (int i = 0; i < 2; i++)
            if (polled[i + 1].revents)
                pass_on(&streams[i]);
    }
}

dfaiss_status_t relay_run(char *const *argv, relay_outcome_t *outcome, dfaiss_error_t *err) {
    relay_t relay;
    dfaiss_status_t status = open_pipes(&relay, err);
    if (status == DFAISS_OK) {
        set_handlers(&relay);
        status = start(&relay, argv, err);
    }
    if (status == DFAISS_OK) {
        serve(&relay);
        *outcome = (relay_outcome_t){.code = WIFEXITED(relay.status) ? WEXITSTATUS(relay.status) : 128 + WTERMSIG(relay.status),
                                     .signal = relay.passed,
                                     .answered = relay.streams[0].used,
                                     .reported = relay.streams[1].reported};
    }
    relay_clear(&relay);
    return status;
}
