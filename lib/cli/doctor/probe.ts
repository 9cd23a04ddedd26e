// Child of `callgrad doctor`: loads the addon and prints what its devices say, and which oneDNN was opened, as one line of JSON.

import { readFileSync } from 'node:fs'
import { type DeviceInfo, devices, threadCount } from '../../tensor/device.js'

/** What `devices()` says of a device and a person wants to know. */
export type DeviceReport = Pick<DeviceInfo, 'name' | 'available' | 'reason' | 'description'>

export interface Probe {
  threads: number
  devices: DeviceReport[]
  /** File of the oneDNN that this process has opened. */
  oneDnn: string | null
}

const list = devices() // opens oneDNN where it is to be used
const maps = readFileSync('/proc/self/maps', 'utf8')
const probe: Probe = {
  threads: threadCount(),
  devices: list,
  oneDnn: /\s(\/\S*libdnnl\.so\S*)$/m.exec(maps)?.[1] ?? null,
}
console.log(JSON.stringify(probe))
