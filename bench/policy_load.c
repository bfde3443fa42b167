/*
 * policy_load: a load generator that sends policy requests as Postfix does, and measures the answers.
 *
 *     cc -O2 -o policy_load policy_load.c
 *     policy_load [options] PORT...       (on 127.0.0.1; each connection takes the next of several ports)
 *
 *     -c N   connections, each with one request at a time           (50)
 *     -n N   total number of requests                               (100000)
 *     -k N   repeat N triplets in turn; 0: a new one each time      (0)
 *     -p N   with -k: percentage of requests for a new triplet      (0)
 *     -f N   number of the first triplet                            (0)
 *     -d N   distance from one triplet's number to the next's       (1)
 *     -s N   percentage of triplets with a client without a name    (25)
 *     -h N   percentage with a HELO other than the client's name but in its domain (25)
 *     -r N   requests a second, evenly spaced; 0: as fast as possible (0)
 *     -t N   give up after N seconds                                (120)
 *
 * A request has the attributes of Postfix 3.7. Triplet number i is always the same, and no two triplets share a client,
 * network or domain. The output is one JSON object: requests answered, seconds, requests a second, the time from a
 * request to its answer in microseconds (median, 99th percentile, longest), and the number of each action. With -r the
 * time is from the moment when the request was due, even if all connections were busy then.
 * The exit status is 1 if a request got no answer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_SIZE = 2048, ANSWER_SIZE = 2048, ACTIONS = 8 };
static const long SECOND = 1000000000;              /* nanoseconds */

struct connection {
    int descriptor;
    long started;                                     /* nanoseconds */
    size_t received;
    char answer[ANSWER_SIZE];
};

static long connections = 50, requests = 100000, known, new_percent, first, distance = 1, nameless = 25, same_domain = 25, rate, limit = 120;
static long asked, answered, fresh, due, begun;
static struct connection **idle;
static long idle_count;
static unsigned random_state = 1;
static float *latencies;                            /* microseconds */
static struct { char verb[24]; long count; } actions[ACTIONS];

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static long next_triplet(void)
{
    random_state = random_state * 1103515245u + 12345u;
    if (known && (long)(random_state >> 16) % 100 >= new_percent)
        return first + distance * (asked % known);
    return first + distance * (known + fresh++);
}

static size_t write_request(char *to, long i)
{
    unsigned address = 0xf0000000u | ((unsigned)(i * 2654435761u) & 0xffffffu);  /* 240.0.0.0/8, none twice */
    char name[64] = "unknown", helo[64];

    snprintf(helo, sizeof helo, "mx.d%ld.example", i);
    if (i % 100 >= nameless)
        strcpy(name, helo);
    if (i % 100 >= nameless && i % 100 < nameless + same_domain)
        snprintf(helo, sizeof helo, "out.d%ld.example", i);
    return (size_t)snprintf(to, REQUEST_SIZE,
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address=%u.%u.%u.%u\n"
        "client_name=%s\nclient_port=%ld\nreverse_client_name=%s\nserver_address=192.0.2.25\nserver_port=25\n"
        "helo_name=%s\nsender=jane@d%ld.example\nrecipient=user%ld@example.org\nrecipient_count=0\nqueue_id=\n"
        "instance=1f.%lx.%lx.0\nsize=%ld\netrn_domain=\nstress=\nsasl_method=\nsasl_username=\nsasl_sender=\n"
        "ccert_subject=\nccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=TLSv1.3\n"
        "encryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\npolicy_context=\n\n",
        address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255,
        name, 1024 + i % 60000, name, helo, i, i % 5000, asked, i, 1000 + i % 50000);
}

static void ask(struct connection *connection)
{
    char request[REQUEST_SIZE];
    size_t size = write_request(request, next_triplet());

    connection->received = 0;
    connection->started = rate ? begun + asked * SECOND / rate : now();
    if (send(connection->descriptor, request, size, MSG_NOSIGNAL) != (ssize_t)size)
        err(1, "send");
    asked++;
}

/* Send the requests that are due, as far as there are idle connections. */
static void ask_on_idle_connections(void)
{
    while (idle_count && asked < due)
        ask(idle[--idle_count]);
}

static void count_action(const char *answer)
{
    char verb[24] = "none";
    int i;

    sscanf(answer, "action=%23[^ \n]", verb);
    for (i = 0; i < ACTIONS - 1 && actions[i].count && strcmp(actions[i].verb, verb); i++)
        ;
    strcpy(actions[i].verb, verb);
    actions[i].count++;
}

static void receive(struct connection *connection)
{
    ssize_t size = recv(connection->descriptor, connection->answer + connection->received,
                        ANSWER_SIZE - 1 - connection->received, 0);
    if (size <= 0)
        errx(1, "the server closed a connection after %ld answers", answered);
    connection->received += (size_t)size;
    connection->answer[connection->received] = 0;
    if (connection->received < 2 || memcmp(connection->answer + connection->received - 2, "\n\n", 2))
        return;
    latencies[answered++] = (float)(now() - connection->started) / 1000;
    count_action(connection->answer);
    idle[idle_count++] = connection;
    ask_on_idle_connections();
}

/* Return a timer that expires for each request. */
static int request_timer(void)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct timespec each = { SECOND / rate / SECOND, SECOND / rate % SECOND };
    struct itimerspec times = { each, each };

    if (timer < 0 || timerfd_settime(timer, 0, &times, NULL) < 0)
        err(1, "timer");
    return timer;
}

static void take_time(int timer)
{
    unsigned long long expired = 0;

    if (read(timer, &expired, sizeof expired) < 0)
        return;
    due = due + (long)expired < requests ? due + (long)expired : requests;
    ask_on_idle_connections();
}

static int open_connection(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int one = 1, descriptor = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "connect to 127.0.0.1:%d", port);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return descriptor;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print(double seconds)
{
    int i;

    qsort(latencies, (size_t)answered, sizeof *latencies, by_size);
    printf("{\"requests\": %ld, \"seconds\": %.4f, \"rate\": %.1f, \"p50\": %.1f, \"p99\": %.1f, \"longest\": %.1f, "
           "\"actions\": {", answered, seconds, (double)answered / seconds, (double)latencies[answered / 2],
           (double)latencies[answered * 99 / 100], (double)latencies[answered - 1]);
    for (i = 0; i < ACTIONS && actions[i].count; i++)
        printf("%s\"%s\": %ld", i ? ", " : "", actions[i].verb, actions[i].count);
    printf("}}\n");
}

int main(int count, char **words)
{
    struct epoll_event events[256];
    struct connection *all;
    int option, timer = -1, poll = epoll_create1(0);
    long i, ready;

    while ((option = getopt(count, words, "c:n:k:p:f:d:s:h:r:t:")) != -1) {
        long *setting = option == 'c' ? &connections : option == 'n' ? &requests : option == 'k' ? &known
            : option == 'p' ? &new_percent : option == 'f' ? &first : option == 'd' ? &distance : option == 's' ? &nameless
            : option == 'h' ? &same_domain : option == 'r' ? &rate : option == 't' ? &limit : NULL;
        if (!setting)
            return 2;
        *setting = atol(optarg);
    }
    if (optind >= count || connections < 1 || requests < 1 || rate < 0)
        errx(2, "usage: policy_load [options] PORT..., see the head of policy_load.c");
    if (connections > requests)
        connections = requests;
    all = calloc((size_t)connections, sizeof *all);
    idle = calloc((size_t)connections, sizeof *idle);
    latencies = calloc((size_t)requests + 1, sizeof *latencies);
    for (i = 0; i < connections; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &all[i] };
        all[i].descriptor = open_connection(atoi(words[optind + i % (count - optind)]));
        epoll_ctl(poll, EPOLL_CTL_ADD, all[i].descriptor, &event);
        idle[idle_count++] = &all[i];
    }
    begun = now();
    if (rate) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
        epoll_ctl(poll, EPOLL_CTL_ADD, timer = request_timer(), &event);
    }
    due = rate ? 1 : requests;
    ask_on_idle_connections();
    while (answered < requests && now() - begun < limit * SECOND) {
        ready = epoll_wait(poll, events, 256, 1000);
        for (i = 0; i < ready; i++)
            if (events[i].data.ptr)
                receive(events[i].data.ptr);
            else
                take_time(timer);
    }
    if (!answered)
        errx(1, "no answer in %ld s", limit);
    print((double)(now() - begun) / (double)SECOND);
    return answered < requests;
}
