import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs'

/** Puts a text in the place of a small file, durably; leaves the file as it was when that fails. @throws the file system's own error */
export function writeFileDurably(file: string, text: string): void {
  const temporary = `${file}.new`
  const handle = openSync(temporary, 'w', 0o640)
  try {
    writeFileSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(temporary, file)
}
