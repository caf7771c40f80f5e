import type { Clock } from '@ricci/replica'
import type { Intake } from '../intake/intake.ts'
import { AlarmPace } from '../telemetry/alarm-pace.ts'
import type { AlarmSink } from '../telemetry/internal-events.ts'

/** Alarms hold for an hour in the index, so that a look in the morning still finds the night's. */
const alarmTtlSeconds = 3_600

/** Makes events of alarms, and has them taken in. @param host the instance */
export function alarmEvents(host: string, clock: Clock, intake: Pick<Intake, 'inject'>): AlarmSink {
  const pace = new AlarmPace(alarmTtlSeconds * 1000)
  return (name, description) => {
    if (!pace.due(name, clock.monotonicMs())) return
    const of = { host, service: `ricci ${name}`, state: 'critical', description, tags: ['ricci'] }
    // an alarm about the log cannot travel the log; its line and its metric are there already
    intake.inject([{ ...of, time: clock.wallMs() / 1000, ttl: alarmTtlSeconds }]).catch(() => undefined)
  }
}
