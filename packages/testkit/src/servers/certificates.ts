/** Certificates for tests, made by openssl: an authority of the test's own, and what it signs for servers and clients of 127.0.0.1. */
import { chownSync, chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { program } from './program.ts'
import { runProgram, type ServerUser } from './process.ts'

/** A test is over long before. */
const validDays = 2

/** A certificate and its key, as PEM text and in files. */
export interface Certificate {
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

export interface CertificateOptions {
  /** Names beside `localhost` and 127.0.0.1, e.g. `server.dc1.consul`. */
  readonly names?: readonly string[]
  /** For servers that take it for the user's name; none unless told, since etcd's gateway refuses those that have one. */
  readonly commonName?: string
  /** Whose the key is: servers refuse one that others may read. Us, unless told. */
  readonly user?: ServerUser
}

/** Signs for a test. Its files lie in the folder it was given and go with that. */
export class CertificateAuthority {
  private constructor(
    private readonly folder: string,
    private readonly own: Certificate,
  ) {}

  /** @param folder where its files go */
  static async create(folder: string): Promise<CertificateAuthority> {
    const own = filesOf(folder, 'authority')
    const request = [
      'req',
      '-x509',
      ...newKey(own.keyFile),
      '-days',
      `${validDays}`,
      '-subj',
      '/CN=Authority of a test',
    ]
    await runProgram(program('openssl'), [...request, '-out', own.certFile], { folder })
    return new CertificateAuthority(folder, read(own))
  }

  /** What has to be trusted, as PEM text. */
  get certificate(): string {
    return this.own.cert
  }

  /** The file of {@link certificate}. */
  get file(): string {
    return this.own.certFile
  }

  /**
   * A certificate for both ends of a connection; etcd's gateway, for one, is a client of its own server.
   * @param name its organisation, and the name of its files
   */
  async issue(name: string, { names = [], commonName, user }: CertificateOptions = {}): Promise<Certificate> {
    const { folder } = this
    const files = filesOf(folder, name)
    const [request, extensions] = [join(folder, `${name}.csr`), join(folder, `${name}.ext`)]
    const alternatives = ['IP:127.0.0.1', ...['localhost', ...names].map((other) => `DNS:${other}`)].join(',')
    writeFileSync(extensions, `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n`)
    const openssl = program('openssl')
    const subject = `/O=${name}${commonName === undefined ? '' : `/CN=${commonName}`}`
    await runProgram(openssl, ['req', ...newKey(files.keyFile), '-subj', subject, '-out', request], { folder })
    const signer = ['-CA', this.own.certFile, '-CAkey', this.own.keyFile, '-CAcreateserial', '-days', `${validDays}`]
    const sign = ['x509', '-req', '-in', request, ...signer, '-extfile', extensions, '-out', files.certFile]
    await runProgram(openssl, sign, { folder })
    chmodSync(files.keyFile, 0o600)
    if (user !== undefined) chownSync(files.keyFile, user.uid, user.gid)
    return read(files)
  }
}

/** An elliptic curve's key takes a few milliseconds, an RSA one up to a second. */
function newKey(file: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file]
}

function filesOf(folder: string, name: string): { certFile: string; keyFile: string } {
  return { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`) }
}

function read(files: { certFile: string; keyFile: string }): Certificate {
  return { ...files, cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') }
}
