/* Plain functions over DPDK's inline ones: one call each. */

#include "shim.h"

#define WIDTH(field, bytes) \
	_Static_assert(sizeof(((struct rte_mbuf *)0)->field) == (bytes), "width of mbuf." #field)

WIDTH(buf_addr, sizeof(void *));
WIDTH(data_off, 2);
WIDTH(nb_segs, 2);
WIDTH(port, 2);
WIDTH(ol_flags, 8);
WIDTH(packet_type, 4);
WIDTH(pkt_len, 4);
WIDTH(data_len, 2);
WIDTH(buf_len, 2);
WIDTH(hash.rss, 4);

uint16_t dpdk_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, frames, count);
}

uint16_t dpdk_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, frames, count);
}

uint16_t dpdk_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count)
{
	return rte_eth_tx_prepare(port, queue, frames, count);
}

struct rte_mbuf *dpdk_mbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

int dpdk_mbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **frames, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, frames, count);
}

void dpdk_mbuf_free(struct rte_mbuf *frame)
{
	rte_pktmbuf_free(frame);
}

void dpdk_mbuf_set_tx_lengths(struct rte_mbuf *frame, uint8_t l2_bytes, uint16_t l3_bytes)
{
	frame->tx_offload = 0;
	frame->l2_len = l2_bytes;
	frame->l3_len = l3_bytes;
}

unsigned int dpdk_ring_enqueue_burst(struct rte_ring *ring, struct rte_mbuf **frames,
				     unsigned int count)
{
	return rte_ring_enqueue_burst(ring, (void *const *)frames, count, NULL);
}

unsigned int dpdk_ring_dequeue_burst(struct rte_ring *ring, struct rte_mbuf **frames,
				     unsigned int count)
{
	return rte_ring_dequeue_burst(ring, (void **)frames, count, NULL);
}

unsigned int dpdk_ring_count(const struct rte_ring *ring)
{
	return rte_ring_count(ring);
}

unsigned int dpdk_ring_capacity(const struct rte_ring *ring)
{
	return rte_ring_get_capacity(ring);
}

int dpdk_errno(void)
{
	return rte_errno;
}

unsigned int dpdk_lcore_id(void)
{
	return rte_lcore_id();
}

uint64_t dpdk_rdtsc(void)
{
	return rte_rdtsc();
}

int dpdk_link(uint16_t port, uint32_t *speed_mbps, uint8_t *full_duplex, uint8_t *up)
{
	struct rte_eth_link link = { 0 };
	int status = rte_eth_link_get_nowait(port, &link);

	*speed_mbps = link.link_speed;
	*full_duplex = link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	*up = link.link_status == RTE_ETH_LINK_UP;
	return status;
}
