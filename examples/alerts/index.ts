// Rules that watch Ricci itself: copy what you want of them into your own. docs/alerts.md says what each means and what to do then.
import { by, incident, index, rules, stable, where } from 'ricci'

/** Whom to tell: a receiver of the configuration. */
const to = 'console'

/** An instance says of itself, every 10 s, something that has been above a bound for so long. */
const above = (name: string, service: string, bound: number, seconds: number) =>
  where(
    `service = "${service}"`,
    by(
      'host',
      stable(seconds, (event) => Number(event.metric) > bound, incident(name, { bad: `metric > ${bound}`, to })),
    ),
  )

export default rules(
  index(),

  // Alarms are events, too; they hold for an hour.
  where(
    'tagged "ricci" and not tagged "riemann"',
    incident('ricci-alarm', {
      bad: 'state = "critical"',
      to,
      summary: (event) => `${event.host}: ${event.description}`,
    }),
  ),

  above('ricci-lags', 'ricci engine lag', 5, 30),
  above('ricci-pages-wait', 'ricci pages oldest', 120, 30),
  above('ricci-drops', 'ricci intake dropped rate', 0, 60),
  above('ricci-rules-throw', 'ricci rules error rate', 0, 60),
  above('ricci-no-room', 'ricci engine refused rate', 0, 60),
  above('ricci-process-late', 'ricci process event-loop delay', 0.5, 60),

  // An instance that says nothing any more is gone, or cut off. (That all are is seen by nobody but your other monitoring.)
  where('service = "riemann index size"', incident('ricci-silent', { bad: 'state = "expired"', key: 'host', to })),
)
