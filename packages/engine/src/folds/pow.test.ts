import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pow } from './pow.ts'

test('special cases are those of Math.pow', () => {
  const values = [0, -0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 2.5, 1e300, -1e300, 5e-324, Infinity, -Infinity, NaN]
  for (const base of values) {
    for (const exponent of values) {
      const expected = Math.pow(base, exponent)
      const special = expected === 0 || !Number.isFinite(expected) || Math.abs(expected) === 1
      if (special) assert.ok(Object.is(pow(base, exponent), expected), `${base} ** ${exponent} = ${expected}`)
    }
  }
})

test('whole powers of whole numbers are the nearest doubles', () => {
  fc.assert(
    fc.property(fc.integer({ min: -2_000, max: 2_000 }), fc.integer({ min: 0, max: 90 }), (base, exponent) => {
      const exact = BigInt(base) ** BigInt(exponent)
      const actual = pow(base, exponent)
      // where the exact value lies in the middle of two doubles either is nearest
      if (actual !== Number(exact)) assert.equal(BigInt(actual) + BigInt(Number(exact)), 2n * exact)
    }),
  )
})

test('powers of two, down to the smallest number', () => {
  for (let exponent = -1074; exponent <= 1023; exponent++) {
    const expected = 2 ** exponent
    assert.equal(pow(2, exponent), expected)
  }
  assert.equal(pow(2, 1024), Infinity)
  assert.equal(pow(2, -1076), 0)
})

test('any power is close to that of Math.pow', () => {
  const number = fc.double({ min: 1e-6, max: 1e6, noNaN: true })
  fc.assert(
    fc.property(number, fc.double({ min: -40, max: 40, noNaN: true }), (base, exponent) => {
      const expected = Math.pow(base, exponent)
      if (expected === 0 || expected === Infinity) return
      assert.ok(Math.abs(pow(base, exponent) - expected) <= Math.abs(expected) * 1e-13, `${base} ** ${exponent}`)
    }),
    { numRuns: 2_000 },
  )
})

test('the nearest doubles, which must never change', () => {
  // worked out with 80 digits, then rounded once
  const cases: [base: number, exponent: number, expected: number][] = [
    [10.0, -2.0, 0.01],
    [10.0, 15.0, 1000000000000000.0],
    [1.1, 10.0, 2.5937424601000023],
    [2.0, 0.5, 1.4142135623730951],
    [0.9, 100.0, 2.6561398887587544e-5],
    [1.0000001, 10000000.0, 2.7182816941320818],
    [1e-310, 0.3, 1.000000000000007e-93],
    [3.0, -670.0, 2.132e-320],
    [0.000674512134412715, -20.949049564529886, 2.689369905957302e66],
    [520.9793561879076, -25.653822799947434, 2.0098698535937005e-70],
    [4.424621013033696, -8.058664985244867, 6.2388000832875845e-6],
    [1.1065744690967424e-8, 0.446143991365215, 0.0002821433184358778],
    [4.7306612659045315e-9, -3.9812589802568468, 1.3940942573984925e33],
    [1.8088294670444402e-8, -24.5572191993681, 1.3701992092630325e190],
    [0.04378702151394726, 19.61112748032228, 2.265956285194341e-27],
    [1.6921361385627256e-7, -16.60566212357913, 2.7945729090860387e112],
    [196.6971209909269, 26.86253654742034, 4.142215563110436e61],
    [24.426040627232684, -6.19917152095319, 2.491499139310842e-9],
    [373759207.87110597, -27.205039162934625, 6.057614255895938e-234],
    [2834211.545646635, -12.623442820099424, 3.532565954168696e-82],
    [3.9499491108700155e-7, -22.932465715297898, 7.013678870952403e146],
    [0.00035700379589382334, 18.96758154720188, 4.0977065682030096e-66],
    [1.7909144419703347e-6, 4.896009819747974, 7.294541116494769e-29],
    [316.5500895169582, -7.656147436456127, 7.181977130097712e-20],
    [7.234364434620563, -26.23266150160061, 2.855227148524617e-23],
    [1.1825542122793997e-8, -17.642477230840406, 7.1626538661706e139],
    [1766.8493345609575, -4.344461659835829, 7.81027265682409e-15],
    [0.00045149096803435285, 5.133711810458323, 6.697803529960831e-18],
    [0.1436543477731227, -12.013980188179058, 13303182408.610064],
    [198989.7321354364, 11.93966602377428, 1.8461563794611346e63],
    [2.475923335149645e-5, 4.465422615520261, 2.698297857873707e-21],
    [2.8414307010292674, 22.508249734405737, 16155693451.618698],
    [13490.10126935465, -12.723734106588807, 2.823479331745289e-53],
    [439690674.7024958, -22.916053304702274, 8.573867883417538e-199],
    [0.033590060969613256, 15.428455773914962, 1.8268731224818414e-23],
    [5.441537468156232e-7, -0.6622139714516635, 14069.95348679502],
    [5.07844352061764e-9, 10.09295139206371, 1.9334920208078492e-84],
    [57846.30083389073, 4.381556416643036, 7.348169696290852e20],
    [5735887.34395135, -11.175149229114194, 2.96230362645764e-76],
    [3275.794074009258, 5.662192626301106, 8.024162064595753e19],
  ]
  for (const [base, exponent, expected] of cases) assert.equal(pow(base, exponent), expected)
})
