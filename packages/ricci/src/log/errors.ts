/** Errors of the log, each a sentence that says what to do. */
import type { AppendRank } from '@ricci/replica'
import { ReplicaError } from '@ricci/replica/errors'
import { isFull } from './disk.ts'

/** The error for a segment that is damaged where it was durable. */
export function corruptLog(path: string, what: string, cause?: unknown): ReplicaError {
  return new ReplicaError(
    'LOG_CORRUPT',
    `${path} is damaged: ${what}. Nothing was changed. Stop ricci, check the disk, and restore this file from a backup; without one, move the data directory away and start with an empty log`,
    false,
    { cause },
  )
}

/** The error for an offset that retention has removed. */
export function trimmed(offset: number, first: number | undefined): ReplicaError {
  const left = first === undefined ? '' : `; the first one left is ${first}`
  return new ReplicaError(
    'OFFSET_TRIMMED',
    `the log no longer holds offset ${offset}${left}: restore from a newer snapshot, then read on from there`,
    false,
  )
}

/** The error for a data directory that this process may not use, or that lies on a disk which takes nothing. */
export function dataUnusable(directory: string, error: unknown): ReplicaError {
  const { code, syscall, message } = error as NodeJS.ErrnoException
  const does =
    code === 'EROFS'
      ? 'lies on a file system that is read-only: mount it for writing, or name another directory'
      : code === 'EACCES' || code === 'EPERM'
        ? `is not this user's to write (uid ${process.getuid?.() ?? 'unknown'}): change its owner, or name another directory`
        : isFull(error)
          ? 'lies on a disk that is full: free some room, then start again'
          : code === 'ENOTDIR' || code === 'EEXIST'
            ? 'is no directory, or lies below a file: name another one'
            : code === 'ENOENT' && syscall === 'mkdir'
              ? 'lies where no directory can be made: name another one'
              : `cannot be used: ${message}`
  return new ReplicaError('DATA_UNUSABLE', `the data directory ${directory} ${does}`, false, { cause: error })
}

/** The error for a log that could not be opened, made or repaired. */
export function openFailed(dataDirectory: string, directory: string, error: unknown): ReplicaError {
  const { code } = error as NodeJS.ErrnoException
  const forbidden = code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
  return forbidden ? dataUnusable(dataDirectory, error) : appendFailed(directory, error)
}

/** The error for an append that finds no room below the log's limit. */
export function logFull(maxBytes: number, rank: AppendRank): ReplicaError {
  const message =
    rank === 'ordinary'
      ? `the log is at its limit of ${maxBytes} bytes, and what is oldest is still needed by the snapshots; send again: newer ones are being stored, or the alarm snapshot-failed says why not. A higher limit (retention.size) helps at once`
      : `the log is at its limit of ${maxBytes} bytes, and the reserve beyond it is used up as well; see to what the alarm snapshot-failed says, or start again with a higher limit (retention.size)`
  return new ReplicaError('LOG_FULL', message, true)
}

/** The error for an append that failed at the disk: may be tried again, the records are not acknowledged. */
export function appendFailed(directory: string, error: unknown): ReplicaError {
  if (error instanceof ReplicaError) return error
  if (isFull(error)) return diskFull(directory, error)
  const message = `writing to ${directory} failed: the record was refused; check the disk, then send it again`
  return new ReplicaError('LOG_FAILED', message, true, { cause: error })
}

/** The error for an append that the disk has no room for. */
export function diskFull(directory: string, cause?: unknown): ReplicaError {
  const message = `the disk that holds ${directory} is full: the record was refused; free some room, or lower the log's size limit, and send it again`
  return new ReplicaError('LOG_FULL', message, true, { cause })
}

/** The error for an append after `close`. */
export function logClosed(): ReplicaError {
  return new ReplicaError(
    'LOG_CLOSED',
    'the log is closed: the process is stopping; send the record to another instance',
    false,
  )
}
