import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Figure, readOutput, stateOfFigure } from './plugin-output.ts'

const figures = (stdout: string) =>
  readOutput(stdout, 0).figures.map(({ label, value, unit, warning, critical, least, most }) =>
    [label, value, unit, warning, critical, least, most].join(' ').trim(),
  )

describe('output of plugins', () => {
  /** Recorded of monitoring-plugins 2.3. */
  const recorded: [stdout: string, text: string, figures: string[]][] = [
    [
      'LOAD WARNING - total load average: 2.64, 4.10, 5.24|load1=2.640;5.000;20.000;0; load5=4.100;4.000;15.000;0; load15=5.240;3.000;10.000;0; \n',
      'LOAD WARNING - total load average: 2.64, 4.10, 5.24',
      ['load1 2.64  5.000 20.000 0', 'load5 4.1  4.000 15.000 0', 'load15 5.24  3.000 10.000 0'],
    ],
    [
      'DISK OK - free space: / 53579MiB (51% inode=91%);| /=52762247168B;243497277849;257024904396;0;270552530944\n',
      'DISK OK - free space: / 53579MiB (51% inode=91%);',
      ['/ 52762247168 B 243497277849 257024904396 0 270552530944'],
    ],
    ['PROCS OK: 94 processes | procs=94;;;0;\n', 'PROCS OK: 94 processes', ['procs 94    0']],
    [
      'SWAP CRITICAL - 0% free (0MB out of 0MB) - Swap is either disabled, not present, or of zero size. |swap=0B;0;0;0;0\n',
      'SWAP CRITICAL - 0% free (0MB out of 0MB) - Swap is either disabled, not present, or of zero size.',
      ['swap 0 B 0 0 0 0'],
    ],
    [
      "PROCS WARNING: 0 processes with command name 'nothere' | procs=0;1:2;;0;\n",
      "PROCS WARNING: 0 processes with command name 'nothere'",
      ['procs 0  1:2  0'],
    ],
    ['CRITICAL: broken\n', 'CRITICAL: broken', []],
  ]
  for (const [stdout, text, expected] of recorded)
    test(text, () => {
      const output = readOutput(stdout, 0)
      assert.equal(output.text, text)
      assert.deepEqual(
        figures(stdout),
        expected.map((one) => one.trim()),
      )
      assert.equal(output.metric, undefined)
    })

  test('more lines: what follows "|" there is performance data up to the end', () => {
    const stdout = 'fine | a=1\nlong text, b=9\nmore text | c=2s;3\nd=4% e=U\n'
    assert.deepEqual(figures(stdout), ['a 1', 'c 2 s 3', 'd 4 %'])
    assert.equal(readOutput(stdout, 0).text, 'fine')
  })

  test('labels in quotes, and what is none', () => {
    assert.deepEqual(figures("x |'a b'=1 'it''s'=-2.5e3ms;@1:2;~:3 c==4 =5 d=6,7 'e=8 f=9B f="), [
      'a b 1',
      "it's -2500 ms @1:2 ~:3",
      'f 9 B',
    ])
  })

  test('a number alone is the metric; empty lines before it are none', () => {
    assert.deepEqual(readOutput('\n  -4.5e2 \n', 0), { text: '-4.5e2', metric: -450, figures: [], events: [] })
    assert.equal(readOutput('12 of 15\n', 0).metric, undefined)
    assert.deepEqual(readOutput('', 0), { text: '', figures: [], events: [] })
  })

  test('lines that are events; JSON without a service is a text like any other', () => {
    const stdout =
      '{"service":"queue","metric":5,"color":"red"}\nall good | a=1\n{"a":1}\n{oops\n{"service":"b","time":7}\n'
    assert.deepEqual(readOutput(stdout, 99), {
      text: 'all good',
      figures: [{ label: 'a', value: 1, unit: '', warning: '', critical: '', least: '', most: '' }],
      events: [
        { service: 'queue', metric: 5, time: 99, attributes: { color: 'red' } },
        { service: 'b', time: 7 },
      ],
    })
  })

  test('bounds', () => {
    assert.equal(readOutput('x'.repeat(5_000), 0).text.length, 1_000)
    assert.equal(figures(`x|${'a=1 '.repeat(500)}`).length, 200)
    assert.equal(readOutput('{"service":"a"}\n'.repeat(1_500), 0).events.length, 1_000)
    // as long as an output may be, in time that is linear
    const began = process.cpuUsage()
    for (const hostile of ['x ', ' ', "'a '=", "'a", "''", 'a=', "a='", '=;', 'a=1;2;3;4;5;'])
      figures(`x|${hostile.repeat(250_000 / hostile.length)}`)
    assert.ok(process.cpuUsage(began).user < 2e6, 'it takes more than two seconds')
  })
})

describe('thresholds', () => {
  const state = (value: number, warning: string, critical = '') => stateOfFigure({ value, warning, critical } as Figure)

  const cases: [warning: string, alerts: number[], fine: number[]][] = [
    ['10', [-1, 10.1], [0, 5, 10]],
    ['10:', [9.9, -5], [10, 99]],
    ['~:10', [10.5], [-99, 10]],
    ['10:20', [9, 21], [10, 15, 20]],
    ['@10:20', [10, 15, 20], [9, 21]],
    ['@10', [0, 10], [-1, 11]],
    ['-5:-1', [0, -6], [-3]],
  ]
  for (const [warning, alerts, fine] of cases)
    test(warning, () => {
      for (const value of alerts) assert.equal(state(value, warning), 'warning', String(value))
      for (const value of fine) assert.equal(state(value, warning), 'ok', String(value))
    })

  test('the worse of the two holds; none, or none that can be read, is no state', () => {
    assert.equal(state(25, '10', '20'), 'critical')
    assert.equal(state(15, '10', '20'), 'warning')
    assert.equal(state(5, '', '20'), 'ok')
    assert.equal(state(5, '', ''), undefined)
    assert.equal(state(5, 'many'), undefined)
  })
})
