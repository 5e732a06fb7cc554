/* What bindgen reads: DPDK's headers, and the names of shim.c.
 *
 * DPDK's fast functions are `static inline`, its offload bits are macros and the fields of
 * `struct rte_mbuf` move between anonymous unions from one release to the next. None of the
 * three can be bound as they are, so they get a plain C name here. There is no logic. */
#ifndef DPDK_SYS_SHIM_H
#define DPDK_SYS_SHIM_H

#include <stddef.h>
#include <stdint.h>

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_version.h>

/* DPDK 21.11 gave its ethdev macros the RTE_ETH_ prefix that is used below. */
#if RTE_VERSION < RTE_VERSION_NUM(21, 11, 0, 0)
#error "wirepatch needs DPDK 21.11 or later"
#endif

/* Inline functions. */
uint16_t dpdk_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count);
uint16_t dpdk_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count);
uint16_t dpdk_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count);

struct rte_mbuf *dpdk_mbuf_alloc(struct rte_mempool *pool);
int dpdk_mbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **frames, unsigned int count);
void dpdk_mbuf_free(struct rte_mbuf *frame);
void dpdk_mbuf_set_tx_lengths(struct rte_mbuf *frame, uint8_t l2_bytes, uint16_t l3_bytes);

unsigned int dpdk_ring_enqueue_burst(struct rte_ring *ring, struct rte_mbuf **frames,
                                     unsigned int count);
unsigned int dpdk_ring_dequeue_burst(struct rte_ring *ring, struct rte_mbuf **frames,
                                     unsigned int count);
unsigned int dpdk_ring_count(const struct rte_ring *ring);
unsigned int dpdk_ring_capacity(const struct rte_ring *ring);

/* Thread-local variables of DPDK, which no binding may touch. */
int dpdk_errno(void);
unsigned int dpdk_lcore_id(void);
uint64_t dpdk_rdtsc(void);

/* `struct rte_eth_link` is bit fields. */
int dpdk_link(uint16_t port, uint32_t *speed_mbps, uint8_t *full_duplex, uint8_t *up);

/* Macros of 64 bits. */
static const uint64_t DPDK_RX_OFFLOAD_IPV4_CKSUM = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
static const uint64_t DPDK_RX_OFFLOAD_UDP_CKSUM = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
static const uint64_t DPDK_RX_OFFLOAD_TCP_CKSUM = RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
static const uint64_t DPDK_RX_OFFLOAD_RSS_HASH = RTE_ETH_RX_OFFLOAD_RSS_HASH;
static const uint64_t DPDK_TX_OFFLOAD_IPV4_CKSUM = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
static const uint64_t DPDK_TX_OFFLOAD_UDP_CKSUM = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
static const uint64_t DPDK_TX_OFFLOAD_TCP_CKSUM = RTE_ETH_TX_OFFLOAD_TCP_CKSUM;

static const uint64_t DPDK_RSS_IPV4 = RTE_ETH_RSS_IPV4;
static const uint64_t DPDK_RSS_FRAG_IPV4 = RTE_ETH_RSS_FRAG_IPV4;
static const uint64_t DPDK_RSS_NONFRAG_IPV4_TCP = RTE_ETH_RSS_NONFRAG_IPV4_TCP;
static const uint64_t DPDK_RSS_NONFRAG_IPV4_UDP = RTE_ETH_RSS_NONFRAG_IPV4_UDP;
static const uint64_t DPDK_RSS_NONFRAG_IPV4_OTHER = RTE_ETH_RSS_NONFRAG_IPV4_OTHER;
static const uint64_t DPDK_RSS_IPV6 = RTE_ETH_RSS_IPV6;
static const uint64_t DPDK_RSS_FRAG_IPV6 = RTE_ETH_RSS_FRAG_IPV6;
static const uint64_t DPDK_RSS_NONFRAG_IPV6_TCP = RTE_ETH_RSS_NONFRAG_IPV6_TCP;
static const uint64_t DPDK_RSS_NONFRAG_IPV6_UDP = RTE_ETH_RSS_NONFRAG_IPV6_UDP;
static const uint64_t DPDK_RSS_NONFRAG_IPV6_OTHER = RTE_ETH_RSS_NONFRAG_IPV6_OTHER;
static const uint64_t DPDK_RSS_IPV6_EX = RTE_ETH_RSS_IPV6_EX;
static const uint64_t DPDK_RSS_IPV6_TCP_EX = RTE_ETH_RSS_IPV6_TCP_EX;
static const uint64_t DPDK_RSS_IPV6_UDP_EX = RTE_ETH_RSS_IPV6_UDP_EX;

static const uint64_t DPDK_MBUF_RX_RSS_HASH = RTE_MBUF_F_RX_RSS_HASH;
static const uint64_t DPDK_MBUF_RX_IP_CKSUM_MASK = RTE_MBUF_F_RX_IP_CKSUM_MASK;
static const uint64_t DPDK_MBUF_RX_IP_CKSUM_BAD = RTE_MBUF_F_RX_IP_CKSUM_BAD;
static const uint64_t DPDK_MBUF_RX_IP_CKSUM_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
static const uint64_t DPDK_MBUF_RX_IP_CKSUM_NONE = RTE_MBUF_F_RX_IP_CKSUM_NONE;
static const uint64_t DPDK_MBUF_RX_L4_CKSUM_MASK = RTE_MBUF_F_RX_L4_CKSUM_MASK;
static const uint64_t DPDK_MBUF_RX_L4_CKSUM_BAD = RTE_MBUF_F_RX_L4_CKSUM_BAD;
static const uint64_t DPDK_MBUF_RX_L4_CKSUM_GOOD = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
static const uint64_t DPDK_MBUF_RX_L4_CKSUM_NONE = RTE_MBUF_F_RX_L4_CKSUM_NONE;
static const uint64_t DPDK_MBUF_TX_OFFLOAD_MASK = RTE_MBUF_F_TX_OFFLOAD_MASK;
static const uint64_t DPDK_MBUF_TX_IP_CKSUM = RTE_MBUF_F_TX_IP_CKSUM;
static const uint64_t DPDK_MBUF_TX_IPV4 = RTE_MBUF_F_TX_IPV4;
static const uint64_t DPDK_MBUF_TX_IPV6 = RTE_MBUF_F_TX_IPV6;
static const uint64_t DPDK_MBUF_TX_TCP_CKSUM = RTE_MBUF_F_TX_TCP_CKSUM;
static const uint64_t DPDK_MBUF_TX_UDP_CKSUM = RTE_MBUF_F_TX_UDP_CKSUM;

static const uint32_t DPDK_LCORE_ID_ANY = LCORE_ID_ANY;
static const uint32_t DPDK_LCORES_MAX = RTE_MAX_LCORE;
static const uint32_t DPDK_ETHPORTS_MAX = RTE_MAX_ETHPORTS;
static const uint32_t DPDK_HEADROOM_BYTES = RTE_PKTMBUF_HEADROOM;
static const uint32_t DPDK_MEMPOOL_CACHE_MAX = RTE_MEMPOOL_CACHE_MAX_SIZE;
static const uint32_t DPDK_MEMPOOL_NAME_BYTES = RTE_MEMPOOL_NAMESIZE;
static const uint32_t DPDK_RING_NAME_BYTES = RTE_RING_NAMESIZE;
static const uint32_t DPDK_RING_SP_ENQ = RING_F_SP_ENQ;
static const uint32_t DPDK_RING_SC_DEQ = RING_F_SC_DEQ;
static const uint32_t DPDK_RING_EXACT_SZ = RING_F_EXACT_SZ;
static const int32_t DPDK_SOCKET_ID_ANY = SOCKET_ID_ANY;
static const uint32_t DPDK_RTE_VERSION = RTE_VERSION;

/* Where the fields of an mbuf are. shim.c asserts how wide they are. */
static const size_t DPDK_MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr);
static const size_t DPDK_MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off);
static const size_t DPDK_MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs);
static const size_t DPDK_MBUF_PORT = offsetof(struct rte_mbuf, port);
static const size_t DPDK_MBUF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags);
static const size_t DPDK_MBUF_PACKET_TYPE = offsetof(struct rte_mbuf, packet_type);
static const size_t DPDK_MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len);
static const size_t DPDK_MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len);
static const size_t DPDK_MBUF_BUF_LEN = offsetof(struct rte_mbuf, buf_len);
static const size_t DPDK_MBUF_RSS = offsetof(struct rte_mbuf, hash.rss);

#endif
