/** 16 bytes as lower-case hex: cluster, incarnation. */
export const hex32 = /^[0-9a-f]{32}$/;
/** 32 bytes as lower-case hex: keys, nonces, formation ids, digests. */
export const hex64 = /^[0-9a-f]{64}$/;
/** Name of a shard or fleet: that of its Kubernetes object, at most 40 characters. */
export const shardName = /^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/;
/** A DNS name or an address without port, at most 253 characters. */
export const hostName = /^[A-Za-z0-9._:-]{1,253}$/;
/** An absolute or relative path, at most 4,096 characters. */
export const filePath = /^.{1,4096}$/;
/** One or more PEM blocks, at most 64 KiB. */
export const pem = /^-----BEGIN [A-Z ]+-----[\s\S]{1,65000}-----END [A-Z ]+-----\s*$/;
/** Free text for people. */
export const sentence = /^[\s\S]{0,4096}$/;
/** 64 bytes as lower-case hex: signatures. */
export const hex128 = /^[0-9a-f]{128}$/;
