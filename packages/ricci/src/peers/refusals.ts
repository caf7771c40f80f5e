/** Who was refused by the listener of a cluster's instances, and why, for people. */
export type RefusedReason = 'secret' | 'certificate' | 'plain' | 'garbage' | 'slow' | 'left' | 'too-many' | 'malformed'

/** What OpenSSL says of those who speak TLS and are not of the cluster. */
const strangers = new Set([
  'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC',
  'ERR_SSL_BAD_RECORD_MAC',
  'ERR_SSL_PSK_IDENTITY_NOT_FOUND',
  'ERR_SSL_NO_SHARED_CIPHER',
  'ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM',
  'ERR_SSL_UNSUPPORTED_PROTOCOL',
  'ERR_SSL_VERSION_TOO_LOW',
  'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE',
  'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
  'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
  'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN',
])

const byCode: Readonly<Record<string, RefusedReason>> = {
  ERR_SSL_HTTP_REQUEST: 'plain',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'slow',
  ECONNRESET: 'left',
  EPIPE: 'left',
}

const sentences: Readonly<Record<RefusedReason, string>> = {
  secret: 'it does not have the secret of this cluster; is cluster.secret the same on every server?',
  certificate: 'it shows no certificate of this cluster’s authority; look at its cluster.peers',
  plain: 'it spoke plain HTTP; only servers of this cluster connect here, for people there is listen.http',
  garbage: 'what it said is no TLS; only servers of this cluster connect here',
  slow: 'it did not say in time who it is',
  left: 'it went before it said who it is',
  'too-many': 'so many connections are open already',
  malformed: 'it proved to be one of the cluster, and then sent no request; are both of the same version?',
}

/**
 * Why a handshake failed.
 * @param proof what those of the cluster would have shown
 */
export function reasonOf(code = '', proof: 'secret' | 'certificate'): RefusedReason {
  return strangers.has(code) ? proof : (byCode[code] ?? 'garbage')
}

/** The reason as a sentence that says what to do. */
export function sentenceOf(reason: RefusedReason): string {
  return sentences[reason]
}
