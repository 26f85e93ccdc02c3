/*
 * A pod's address may have been another pod's a second ago. Who talked to that one, the node or a neighbour on the bridge, goes on sending to
 * its MAC address: for up to 45 s while the entry counts as reachable, and 8 s more until the kernel has given it up. So the pod says at its birth who has the
 * address now, as everyone is expected to hear it:
 *
 *   IPv4  ARP announcement (RFC 5227 section 2.3): a request for its own address, to all
 *   IPv6  unsolicited neighbour advertisement with the override flag (RFC 4861 section 7.2.6), to all nodes
 *
 * Both alter entries that are there and make none.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "announce.h"

struct arp {
    struct arphdr head;
    uint8_t sender_mac[ETH_ALEN];
    uint8_t sender_ip[4];
    uint8_t target_mac[ETH_ALEN];
    uint8_t target_ip[4];
} __attribute__((packed));

struct advertisement {
    struct nd_neighbor_advert head;
    struct nd_opt_hdr option;
    uint8_t mac[ETH_ALEN];
} __attribute__((packed));

/* 0, or errno, as the two after it. */
static int announce_ipv4(const struct sockaddr_ll *link, struct in_addr ip)
{
    struct arp arp = { .head = { .ar_hrd = htons(ARPHRD_ETHER),
                                 .ar_pro = htons(ETHERTYPE_IP),
                                 .ar_hln = ETH_ALEN,
                                 .ar_pln = sizeof ip,
                                 .ar_op = htons(ARPOP_REQUEST) } };
    memcpy(arp.sender_mac, link->sll_addr, ETH_ALEN);
    memcpy(arp.sender_ip, &ip, sizeof ip);
    memcpy(arp.target_ip, &ip, sizeof ip);
    struct sockaddr_ll all = { .sll_family = AF_PACKET,
                               .sll_protocol = htons(ETHERTYPE_ARP),
                               .sll_ifindex = link->sll_ifindex,
                               .sll_halen = ETH_ALEN };
    memset(all.sll_addr, 0xff, ETH_ALEN);
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    bool sent = sendto(fd, &arp, sizeof arp, 0, (struct sockaddr *)&all, sizeof all) == sizeof arp;
    int fault = sent ? 0 : errno;
    close(fd);
    return fault;
}

static int announce_ipv6(const struct sockaddr_ll *link, struct in6_addr ip)
{
    struct advertisement told = { .head = { .nd_na_type = ND_NEIGHBOR_ADVERT,
                                            .nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE,
                                            .nd_na_target = ip },
                                  .option = { .nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1 } };
    memcpy(told.mac, link->sll_addr, ETH_ALEN);
    struct sockaddr_in6 from = { .sin6_family = AF_INET6, .sin6_addr = ip };
    struct sockaddr_in6 all = { .sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)link->sll_ifindex };
    inet_pton(AF_INET6, "ff02::1", &all.sin6_addr);
    int hops = 255; /* anything less is no neighbour's word */
    int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
    if (fd < 0)
        return errno;
    bool sent = setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) == 0 &&
                bind(fd, (struct sockaddr *)&from, sizeof from) == 0 &&
                sendto(fd, &told, sizeof told, 0, (struct sockaddr *)&all, sizeof all) == sizeof told;
    int fault = sent ? 0 : errno;
    close(fd);
    return fault;
}

/* Of links that have no Ethernet address nobody keeps one. */
static const struct sockaddr_ll *link_of(const struct ifaddrs *list, const char *ifname)
{
    for (; list != NULL; list = list->ifa_next) {
        const struct sockaddr_ll *link = (const void *)list->ifa_addr;
        if (link != NULL && link->sll_family == AF_PACKET && link->sll_halen == ETH_ALEN && strcmp(list->ifa_name, ifname) == 0)
            return link;
    }
    return NULL;
}

static int announce_address(const struct sockaddr_ll *link, const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return announce_ipv4(link, ((const struct sockaddr_in *)(const void *)address)->sin_addr);
    if (address->sa_family != AF_INET6)
        return 0;
    struct in6_addr ip = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    /* Made of the MAC address or at random: it was nobody's before. */
    return IN6_IS_ADDR_LINKLOCAL(&ip) ? 0 : announce_ipv6(link, ip);
}

const char *announce(const char *netns, const char *ifname)
{
    int fd = open(netns, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
        return strerror(errno);
    close(fd);
    struct ifaddrs *list;
    if (getifaddrs(&list) != 0)
        return strerror(errno);
    const struct sockaddr_ll *link = link_of(list, ifname);
    int fault = 0;
    for (const struct ifaddrs *at = list; link != NULL && at != NULL; at = at->ifa_next) {
        if (at->ifa_addr == NULL || strcmp(at->ifa_name, ifname) != 0)
            continue;
        int one = announce_address(link, at->ifa_addr);
        fault = one != 0 ? one : fault;
    }
    freeifaddrs(list);
    return fault != 0 ? strerror(fault) : NULL;
}
