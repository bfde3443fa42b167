/*
 * dns_answers: a UDP resolver on 127.0.0.1 for measurements, fast enough not to affect them.
 *
 *     cc -O2 -o dns_answers dns_answers.c
 *     dns_answers PORT
 *
 *     A of 2.0.0.127.LIST and of each eighth address   127.0.0.2   (a list's test entry, RFC 5782 5, and listings)
 *     TXT of each second domain dN.example             "v=spf1 ip4:240.0.0.0/8 -all"
 *     everything else                                  NXDOMAIN
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 12, TYPE_A = 1, TYPE_TXT = 16, NXDOMAIN = 3 };

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
    return tolower(name[1]) == 'd' && isdigit(name[2]) && atoi((const char *)name + 2) % 2 == 0;
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

int main(int count, char **words)
{
    struct sockaddr_in own = { .sin_family = AF_INET }, peer;
    int one = socket(AF_INET, SOCK_DGRAM, 0), room = 1 << 22;
    unsigned char packet[4096];

    if (count != 2)
        errx(2, "usage: dns_answers PORT");
    own.sin_port = htons((uint16_t)atoi(words[1]));
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(one, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(one, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind to 127.0.0.1:%s", words[1]);
    for (;;) {
        socklen_t length = sizeof peer;
        ssize_t size = recvfrom(one, packet, 512, 0, (struct sockaddr *)&peer, &length);
        if (size < HEADER + 5)
            continue;
        if ((size = (ssize_t)answer(packet, (size_t)size)))
            sendto(one, packet, (size_t)size, 0, (struct sockaddr *)&peer, length);
    }
}
