/** What is copied aside for a cut is counted, and let go as soon as it was read: the count bounds the memory of a cut. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Asides, CutCopies } from './asides.ts'
import { chunkSize } from './columns.ts'
import { PageAsides } from './page-asides.ts'

describe('copies aside', () => {
  it('of whole chunks are counted until each was read', () => {
    const sizes = [100, 20, 3]
    const asides = new Asides((index) => new Uint8Array(sizes[index]))
    const cut = new CutCopies()
    asides.begin(sizes.length, cut)
    asides.keep(0)
    asides.keep(0) // once only
    asides.keep(2)
    assert.equal(cut.bytes, 103)
    assert.equal(asides.at(0)?.byteLength, 100)
    asides.release(0)
    assert.equal(cut.bytes, 3)
    assert.equal(asides.at(0), undefined)
    asides.keep(0) // read already: it may change
    asides.release(1)
    assert.equal(cut.bytes, 3)
    assert.equal(asides.active, true)
    asides.release(2)
    assert.deepEqual([cut.bytes, asides.active], [0, false])
  })

  it('of pages are counted until their chunk was read', () => {
    const cellBytes = 64
    const asides = new PageAsides(cellBytes, (_chunk, _from, length) => new Uint8Array(length))
    const cut = new CutCopies()
    asides.begin(2 * chunkSize, cut)
    asides.keep(0)
    const page = cut.bytes
    assert.ok(page > cellBytes && page < cellBytes * chunkSize)
    asides.keep(1) // on the same page
    assert.equal(cut.bytes, page)
    asides.keep(page / cellBytes)
    asides.keep(chunkSize)
    assert.equal(cut.bytes, 3 * page)
    asides.release(0)
    assert.equal(cut.bytes, page)
    asides.release(1)
    assert.deepEqual([cut.bytes, asides.active], [0, false])
  })
})
