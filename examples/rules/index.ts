// The rules that `npm start` runs. Copy this folder, change it, and start Ricci with it: `ricci dev --rules FOLDER`.
import { by, incident, index, rules, stable, where } from 'ricci'

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
)
