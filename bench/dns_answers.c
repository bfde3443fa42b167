/*
 * dns_answers: a UDP resolver for measurements, fast enough not to affect them.
 *
 *     cc -O2 -o dns_answers dns_answers.c
 *     dns_answers [-d MILLISECONDS] ADDRESS PORT
 *
 * With -d, each answer is sent so much later. The answers:
 *
 *     A of 2.0.0.127.LIST and of each eighth address   127.0.0.2   (a list's test entry, RFC 5782 5, and listings)
 *     TXT of each fourth domain dN.example             "v=spf1 ip4:240.0.0.0/8 -all"
 *     everything else                                  NXDOMAIN
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 12, TYPE_A = 1, TYPE_TXT = 16, NXDOMAIN = 3, QUESTION_SIZE = 512, PACKET_SIZE = 600, DELAYED = 16384 };

struct delayed {
    long due;                                       /* nanoseconds */
    struct sockaddr_in peer;
    size_t size;
    unsigned char packet[PACKET_SIZE];
};

static struct delayed ring[DELAYED];
static unsigned first, last;                        /* in the ring: from first to before last */
static long delay;                                  /* nanoseconds */

static const unsigned char POINTER_TYPE_A[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0x2c, 0, 4, 127, 0, 0, 2 };
static const unsigned char POINTER_TYPE_TXT[] = { 0xc0, 12, 0, 16, 0, 1, 0, 0, 1, 0x2c, 0, 28, 27 };
static const char SPF[] = "v=spf1 ip4:240.0.0.0/8 -all";

static int starts(const unsigned char *label, const char *text)
{
    size_t size = strlen(text);
    return label[0] == size && !strncasecmp((const char *)label + 1, text, size);
}

/* Return whether a list contains the address whose last octet is the first label. */
static int is_listed(const unsigned char *name)
{
    const unsigned char *second = name + 1 + name[0];
    int octet = atoi((const char *)name + 1);

    if (!isdigit(name[1]))
        return 0;
    if (starts(second, "0") && starts(second + 2, "0") && starts(second + 4, "127"))
        return octet == 2;
    return octet % 8 == 0 && starts(second + 1 + second[0] + 1 + second[1 + second[0]], "240");
}

static int has_spf(const unsigned char *name)
{
    return tolower(name[1]) == 'd' && isdigit(name[2]) && atoi((const char *)name + 2) % 4 == 0;
}

static size_t answer(unsigned char *packet, size_t size)
{
    size_t end = HEADER;
    int type;

    while (end < size && packet[end])
        end += 1 + packet[end];
    end += 5;                                       /* the root label, type, class */
    if (end > size)
        return 0;
    type = packet[end - 4] << 8 | packet[end - 3];
    packet[2] = 0x81, packet[3] = 0x80;             /* an answer, recursion was available */
    memset(packet + 6, 0, 6);
    if (type == TYPE_A && is_listed(packet + HEADER)) {
        memcpy(packet + end, POINTER_TYPE_A, sizeof POINTER_TYPE_A);
        packet[7] = 1;
        return end + sizeof POINTER_TYPE_A;
    }
    if (type == TYPE_TXT && has_spf(packet + HEADER)) {
        memcpy(packet + end, POINTER_TYPE_TXT, sizeof POINTER_TYPE_TXT);
        memcpy(packet + end + sizeof POINTER_TYPE_TXT, SPF, sizeof SPF - 1);
        packet[7] = 1;
        return end + sizeof POINTER_TYPE_TXT + sizeof SPF - 1;
    }
    packet[3] |= NXDOMAIN;
    return end;
}

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void send_answer(int descriptor, const struct delayed *one)
{
    sendto(descriptor, one->packet, one->size, 0, (const struct sockaddr *)&one->peer, sizeof one->peer);
}

/* Send what is due; if more will be due, wait for that moment or a question. */
static void send_due_answers(int descriptor)
{
    struct pollfd question = { .fd = descriptor, .events = POLLIN };
    long wait = 0;

    while (first != last && (wait = ring[first % DELAYED].due - now()) <= 0)
        send_answer(descriptor, &ring[first++ % DELAYED]);
    if (first != last) {
        struct timespec time = { wait / 1000000000L, wait % 1000000000L };
        ppoll(&question, 1, &time, NULL);
    }
}

static int open_socket(const char *address, const char *port)
{
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0), room = 1 << 22;

    if (!inet_aton(address, &own.sin_addr))
        errx(2, "%s is no address", address);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(descriptor, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind to %s:%s", address, port);
    return descriptor;
}

int main(int count, char **words)
{
    int descriptor;

    if (getopt(count, words, "d:") == 'd')
        delay = atol(optarg) * 1000000L;
    if (optind != count - 2)
        errx(2, "usage: dns_answers [-d MILLISECONDS] ADDRESS PORT");
    descriptor = open_socket(words[optind], words[optind + 1]);
    for (;;) {
        struct delayed *next = &ring[last % DELAYED];
        socklen_t length = sizeof next->peer;
        ssize_t size;

        send_due_answers(descriptor);
        size = recvfrom(descriptor, next->packet, QUESTION_SIZE, first != last ? MSG_DONTWAIT : 0,
                        (struct sockaddr *)&next->peer, &length);
        if (size < HEADER + 5 || !(next->size = answer(next->packet, (size_t)size)))
            continue;
        if (!delay) {
            send_answer(descriptor, next);
            continue;
        }
        next->due = now() + delay;
        if (++last - first == DELAYED)
            errx(1, "%d questions within %ld ms", DELAYED, delay / 1000000);
    }
}
