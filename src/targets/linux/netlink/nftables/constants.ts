/** Numbers of linux/netfilter/nfnetlink.h and nf_tables.h, and what nft keeps in user data (libnftnl's udata.h). */

/** NFPROTO_… of linux/netfilter.h */
export const NFPROTO = { inet: 1, bridge: 7 } as const;
export const NFNL_SUBSYS_NFTABLES = 10;
export const NFNLGRP_NFTABLES = 7;
export const NFNL_MSG_BATCH_BEGIN = 0x10;
export const NFNL_MSG_BATCH_END = 0x11;
/** `struct nfgenmsg`: u8 family, u8 version, be16 resource. */
export const NFGEN_HEADER = 4;

const message = (n: number) => (NFNL_SUBSYS_NFTABLES << 8) | n;
export const NFT_MSG_NEWTABLE = message(0);
export const NFT_MSG_GETTABLE = message(1);
export const NFT_MSG_DELTABLE = message(2);
export const NFT_MSG_NEWCHAIN = message(3);
export const NFT_MSG_GETCHAIN = message(4);
export const NFT_MSG_DELCHAIN = message(5);
export const NFT_MSG_NEWRULE = message(6);
export const NFT_MSG_GETRULE = message(7);
export const NFT_MSG_DELRULE = message(8);
export const NFT_MSG_NEWSET = message(9);
export const NFT_MSG_GETSET = message(10);
export const NFT_MSG_DELSET = message(11);
export const NFT_MSG_NEWSETELEM = message(12);
export const NFT_MSG_GETSETELEM = message(13);
export const NFT_MSG_DELSETELEM = message(14);
export const NFT_MSG_NEWGEN = message(15);
export const NFT_MSG_GETGEN = message(16);

export const NFT_TABLE_F_DORMANT = 0x1;
export const NFT_SET_ANONYMOUS = 0x1;
export const NFT_SET_INTERVAL = 0x4;
export const NFT_SET_MAP = 0x8;
export const NFT_SET_TIMEOUT = 0x10;
export const NFT_SET_EVAL = 0x20;
export const NFT_SET_CONCAT = 0x80;
export const NFT_DATA_VERDICT = 0xffffff00;
export const NFT_SET_ELEM_INTERVAL_END = 0x1;

/** nft's own numbers of data types (libnftables, datatype.h): part of no kernel header, but `nft list` goes by them. */
export const NFT_TYPE_IDS = {
  nf_inet_proto: 2,
  ipv4_addr: 7,
  ipv6_addr: 8,
  ether_addr: 9,
  inet_proto: 12,
  inet_service: 13,
  mark: 19,
  ifname: 41,
} as const;
/** A concatenation's type: six bits a field. */
export const TYPE_BITS = 6;
