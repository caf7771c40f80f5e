/** Trying receivers out: what is configured, and pages that say of themselves that they are a test. */
import { randomUUID } from 'node:crypto'
import { sendOnce, type Clock, type SendRequest, type SendResult, type Transport } from '@ricci/replica'
import type { Config } from '../config/config.ts'
import { didYouMean } from '../config/nearest.ts'
import { RicciError } from '../errors.ts'

/** A receiver as people and programs see it: without address and secrets. */
export interface ReceiverView {
  readonly name: string
  readonly type: string
  readonly class: 'A' | 'B' | 'C'
  /** Class C alone. */
  readonly inDoubt?: 'repeat' | 'miss'
  readonly sendOvertaken: boolean
  /** It hears of what others refused; of what cannot travel the log. */
  readonly fallback: boolean
  readonly self: boolean
}

/** What a receiver answered to a test, one page after another. */
export interface ReceiverTest {
  readonly receiver: string
  readonly type: string
  readonly steps: readonly { readonly action: SendRequest['action']; readonly result: SendResult }[]
}

export type ReceiversConfig = Pick<Config, 'receivers' | 'fallback' | 'self' | 'instance'>

export function receiverViews({ receivers, fallback, self }: ReceiversConfig): ReceiverView[] {
  return [...receivers].map(([name, { type, class: receiverClass, inDoubt, sendOvertaken }]) => ({
    name,
    type,
    class: receiverClass,
    ...(receiverClass === 'C' && { inDoubt }),
    sendOvertaken,
    fallback: name === fallback,
    self: name === self,
  }))
}

/**
 * Sends test pages the way real ones go, but for the log: they are no decision, and nothing follows from them. What was triggered is
 * taken back; the first that is not delivered ends it.
 * @param transport of that receiver, where it is there already
 * @throws RicciError `NO_RECEIVER`
 */
export async function tryReceiver(
  name: string,
  config: ReceiversConfig,
  transport: Transport | undefined,
  clock: Clock,
): Promise<ReceiverTest> {
  const receiver = config.receivers.get(name)
  if (receiver === undefined || transport === undefined) {
    const known = [...config.receivers.keys()]
    const meant = didYouMean(name, known)
    throw new RicciError(
      'NO_RECEIVER',
      `the configuration has no receiver "${name}"${meant}${meant === '' ? '; it' : ' It'} has ${known.join(', ')}`,
    )
  }
  const key = `ricci-test.${randomUUID()}`
  const steps: { action: SendRequest['action']; result: SendResult }[] = []
  for (const action of receiver.test) {
    const result = await sendOnce(transport, testPage(name, key, action, config.instance, clock), clock)
    steps.push({ action, result })
    // a trigger that may be open is taken back all the same
    if (result.kind === 'refused' || (result.kind === 'failed' && action === receiver.test[0])) break
  }
  return { receiver: name, type: receiver.type, steps }
}

function testPage(
  receiver: string,
  key: string,
  action: SendRequest['action'],
  instance: string,
  clock: Clock,
): SendRequest {
  const decidedAtMs = Math.round(clock.wallMs())
  return {
    receiver,
    idempotencyKey: `${key}.${action}`,
    dedupKey: key,
    action,
    severity: action === 'resolve' ? 'ok' : 'critical',
    summary: `TEST of receiver ${receiver}, by ricci receivers test: nothing is wrong, nothing is to be done`,
    host: instance,
    service: 'ricci receivers test',
    rule: 'test',
    decidedAtMs,
    provenance: { test: true, instance },
    possibleRepeat: false,
  }
}
