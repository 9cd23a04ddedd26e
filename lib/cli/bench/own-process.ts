import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { fail } from '../../errors.js'
import type { Reply, Request } from './own-worker.js'

const workerFile = fileURLToPath(new URL('own-worker.js', import.meta.url))

/** A process loads the addon and the conformance table; on a busy machine that takes a while. */
const startSeconds = 120

/** A process that runs one op on one device, with our kernel or with the one in `addon`. */
export class OwnProcess {
  #said = ''
  #last = 'it started'

  private constructor(
    private readonly child: ChildProcess,
    private readonly label: string,
    private readonly timeout: number,
  ) {
    child.stderr?.on('data', (text: Buffer) => {
      this.#said = (this.#said + text.toString('utf8')).slice(-2000)
    })
  }

  /** @throws `ERR_KERNEL` where it does not come up */
  static async start(
    op: string,
    device: string,
    { label, addon, timeout }: { label: string; addon?: string; timeout: number },
  ): Promise<OwnProcess> {
    const env = { ...process.env, CALLGRAD_SIMT: 'checked', ...(addon && { CALLGRAD_ADDON: addon }) }
    const child = fork(workerFile, [op, device], { env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    const started = new OwnProcess(child, label, timeout)
    const first = await started.#reply(Math.max(timeout, startSeconds))
    if ('error' in first) fail('Error', 'ERR_KERNEL', `[bench] ${label}: ${first.error}`)
    return started
  }

  /** The next message, or how the process ended instead. */
  #reply(seconds = this.timeout): Promise<Reply> {
    const { child } = this
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer)
        child.off('message', onMessage)
        child.off('exit', onExit)
      }
      const onMessage = (reply: Reply) => {
        settle()
        resolve(reply)
      }
      const refuse = (how: string) => {
        settle()
        try {
          const said = this.#said.trim()
          fail('Error', 'ERR_KERNEL', `[bench] ${this.label} ${how} while ${this.#last}${said && `:\n${said}`}`)
        } catch (error) {
          reject(error)
        }
      }
      const onExit = (code: number | null, signal: string | null) =>
        refuse(signal ? `crashed (${signal})` : `ended with code ${code}`)
      const timer = setTimeout(() => {
        child.kill('SIGKILL')
        refuse(`did not end within ${seconds} s`)
      }, seconds * 1000)
      child.on('message', onMessage)
      child.on('exit', onExit)
    })
  }

  /** @throws `ERR_KERNEL` where the process crashes, hangs or has ended */
  async ask(request: Request): Promise<Reply> {
    this.#last = request.kind === 'check' ? `the check "${request.name}" ran` : `it was asked to ${request.kind}`
    const reply = this.#reply()
    this.child.send(request, () => undefined) // a process that is gone shows by its exit
    return reply
  }

  /** Like {@link ask}; an error that the worker reports is thrown. */
  async get<T>(request: Request): Promise<T> {
    const reply = await this.ask(request)
    if ('error' in reply) fail('Error', 'ERR_KERNEL', `[bench] ${this.label}: ${reply.error}`)
    return reply.ok as T
  }

  close(): void {
    this.child.removeAllListeners()
    this.child.kill('SIGKILL')
  }
}
