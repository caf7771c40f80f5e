// The rules that `npm start` runs. Copy this folder, change it, and start Ricci with it: `npm start -- --rules FOLDER`.
import { by, incident, index, notExpired, notify, rollup, rules, stable, tagged, throttle, where } from 'ricci'

export default rules(
  // Everything that comes is kept by host and service until its ttl has passed: `ricci query 'service = "cpu"'` finds it.
  index(),

  // Whatever says of itself that it is critical, and still does three seconds later, is an incident; it is over when another
  // state has held as long. Try it: ricci send --service oven --state critical --ttl 60
  by(['host', 'service'], stable(3, 'state', incident('critical', { bad: 'state = "critical"', to: 'console' }))),

  // Every agent says every second how long its host has been up. When that expires, the host, its link or its agent is gone.
  where(
    'service = "uptime"',
    incident('host-silent', {
      bad: 'state = "expired"',
      key: 'host',
      to: 'console',
      summary: (event) => `nothing heard from ${event.host} any more`,
    }),
  ),

  // News for people: three a minute come one by one, the rest of them together when the minute is over. What the index lets go of
  // comes by once more, as expired: that is no news.
  // Try it, five times: ricci send --service deploy --tag news --description 'shop 1.2 is out'
  tagged('news', notExpired(rollup(3, 60, notify('console', { severity: 'info' })))),

  // A program that restarts over and over is told of once in ten minutes, each host for itself.
  where('service = "restart"', notExpired(by('host', throttle(1, 600, notify('console', { severity: 'error' }))))),
)
