import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FaultyDisk, logConformance, type LogBackend } from '@ricci/testkit'
import type { LogPort } from '@ricci/replica'
import { nodeDisk, type Disk } from './disk.ts'
import { EmbeddedLog } from './embedded-log.ts'

const limits = { segmentBytes: 20_000, maxBytes: 8_000_000 }

function backend(dataDirectory: string, disk: Disk): LogBackend {
  return {
    open: () => EmbeddedLog.open({ dataDirectory, disk, limits, clock: { wallMs: () => 0 } }),
    async trim(port: LogPort) {
      const log = port as EmbeddedLog
      while ((await log.range(0)).first === 0) {
        const [offset] = await log.append(0, [Buffer.alloc(100_000)])
        log.protectedOffset = offset
      }
    },
  }
}

logConformance('the embedded log on disk', async (context) => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'ricci-log-'))
  context.after(() => rmSync(dataDirectory, { recursive: true, force: true }))
  return backend(dataDirectory, nodeDisk)
})

logConformance('the embedded log in memory', async () => backend('/data', new FaultyDisk({ seed: 1 })))
