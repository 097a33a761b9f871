// Follow the events of Runline, with nothing of Runline: npm's @platformatic/kafka is all that it needs.
//
//     node follow.mjs BROKERS PREFIX          print every event that counts, from the first one on
//     node follow.mjs BROKERS PREFIX --now    print those that come, beginning at checkpoints
//     node follow.mjs --vectors FILE          print what this rule makes of the acceptance vectors, as JSON

import { createHash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'

const TYPES = new Set([
  'run.created', 'run.started', 'run.succeeded', 'run.failed', 'run.cancelled',
  'trace.started', 'trace.succeeded', 'trace.failed', 'trace.cancelled', 'command.refused',
])
const ENDS = new Set(['run.succeeded', 'run.failed', 'run.cancelled'])
const WINDOW = 3_600_000 // milliseconds
const BACKWARDS = 64 // records

// A record is { offset, key, headers, value }: the offset as a number or BigInt, key and headers as texts, the value as
// a Buffer. A log is a function that gives the records of one partition from an offset on, up to another, in order.

class Partition {
  epoch = null
  runs = new Map() // open runs: { head, decided }
  ended = new Map() // ended runs: the highest offset of commands that they decided
  unreadable = new Set()
  commands = 0
  clock = -1
  parts = new Map()

  // Take the next record; return the commit in it if it counts.
  take(record) {
    const { offset, key, headers } = record
    switch (headers.ce_type) {
      case 'runline.fence':
        if (key === 'fence') this.fence(`${offset}:${headers.nonce ?? ''}`)
        return null
      case 'runline.checkpoint':
        if (key === 'checkpoint') this.part(heading(headers))
        return null
      case 'runline.commit':
        return this.commit(record)
    }
    return null
  }

  fence(epoch) {
    this.epoch = epoch
    this.parts.clear()
  }

  commit({ key: run, headers: { epoch, prev, ce_id: id }, value }) {
    const known = this.runs.get(run)
    if (epoch === undefined || epoch !== this.epoch) return null
    if (prev !== (known?.head ?? 'genesis') || this.ended.has(run) || this.unreadable.has(run)) return null
    if (id !== createHash('sha256').update(`${prev}\n${epoch}\n`).update(value).digest('hex')) return null
    const commit = parse(value, run)
    const decided = commit?.decided ?? -1
    if (!known && commit && commit.decided !== null && decided < this.commands) return null
    const fits = ({ type }, index) => TYPES.has(type) && (type === 'run.created') === (!known && index === 0)
    if (!commit?.events.every(fits)) {
      this.runs.delete(run)
      this.unreadable.add(run)
      return null
    }
    const state = { head: id, decided: Math.max(decided, known?.decided ?? -1) }
    if (commit.events.some(({ type }) => ENDS.has(type))) {
      this.runs.delete(run)
      this.ended.set(run, state.decided)
    } else this.runs.set(run, state)
    return { ...commit, id }
  }

  // When all parts of a checkpoint are there, ended runs may be forgotten that no late copy can begin again.
  part(found) {
    if (found?.epoch !== this.epoch) return
    const name = `${found.epoch} ${found.start}`
    const numbers = this.parts.get(name) ?? new Set()
    this.parts.set(name, numbers.add(found.part))
    if (numbers.size < found.parts) return
    this.parts.delete(name)
    this.commands = Math.max(this.commands, found.commands)
    this.clock = Math.max(this.clock, found.clock)
    const digits = Math.max(found.clock - WINDOW, 0).toString(16).padStart(12, '0')
    const floor = `${digits.slice(0, 8)}-${digits.slice(8)}`
    for (const [run, decided] of this.ended) {
      if (decided < found.commands && run < floor) this.ended.delete(run)
    }
  }
}

// Return a commit's value; null for bytes that are none of this run.
function parse(value, run) {
  try {
    const commit = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value))
    const decided = commit.decided === null || Number.isInteger(commit.decided)
    return commit.run === run && commit.events.length && decided ? commit : null
  } catch {
    return null
  }
}

// Return what a checkpoint part says of itself; null when these are not the headers of a part.
function heading(headers) {
  const texts = ['start', 'part', 'parts', 'commands', 'clock'].map((name) => headers[name])
  const numbers = texts.map((text) => (/^-?\d+$/.test(text) ? Number(text) : NaN))
  const [start, part, parts, commands, clock] = numbers
  const whole = numbers.every(Number.isInteger) && start >= 0 && part >= 0 && part < parts
  return whole && headers.epoch !== undefined ? { epoch: headers.epoch, start, part, parts, commands, clock } : null
}

// Return where to begin so that everything from a position on is exact: { start, checkpoint, partition }.
async function begin(log, position, end) {
  const tried = new Set()
  for (let last = position; last > 0; last -= BACKWARDS) {
    const records = await Array.fromAsync(log(Math.max(0, last - BACKWARDS), last))
    for (const { headers } of records.reverse()) {
      const named = headers.checkpoint
      if (named === 'none') return { start: 0, checkpoint: null, partition: new Partition() }
      if (!/^\d{1,15}$/.test(named) || tried.has(named)) continue
      tried.add(named)
      const found = await load(log, Number(named), end)
      if (found && found.start <= position) return found
    }
  }
  return { start: 0, checkpoint: null, partition: new Partition() }
}

async function load(log, first, end) {
  const [named] = await Array.fromAsync(log(first, Math.min(first + 1, end)))
  const of = named?.headers.ce_type === 'runline.checkpoint' ? heading(named.headers) : null
  if (!of || of.start > first) return null
  const partition = new Partition()
  const numbers = new Set()
  for await (const { offset, headers, value } of log(of.start, end)) {
    if (headers.ce_type === 'runline.fence') return null
    const own = headers.ce_type === 'runline.checkpoint' && offset >= first ? heading(headers) : null
    if (own?.epoch !== of.epoch || own.start !== of.start || numbers.has(own.part)) continue
    if (headers.ce_id !== partId(headers, value)) return null
    const { runs, ended } = JSON.parse(value)
    for (const { run, head, decided } of runs) partition.runs.set(run, { head, decided })
    for (const [run, decided] of Object.entries(ended)) partition.ended.set(run, decided)
    numbers.add(own.part)
    if (numbers.size < of.parts) continue
    partition.epoch = of.epoch
    partition.commands = of.commands
    partition.clock = of.clock
    return { start: of.start, checkpoint: first, partition }
  }
  return null
}

function partId({ epoch, start, part, parts, commands, clock }, value) {
  const said = [epoch, start, part, parts, commands, clock].map((text) => `${text}\n`)
  return createHash('sha256').update(said.join('')).update(value).digest('hex')
}

async function follow(brokers, prefix, now) {
  const { Consumer } = await import('@platformatic/kafka')
  const topic = `${prefix}.events`
  // A group of its own, so that all partitions are this program's; and brokers that are away are waited for.
  const groupId = `follow-${randomUUID()}`
  const bootstrapBrokers = brokers.split(',')
  const consumer = new Consumer({ clientId: 'follow', groupId, bootstrapBrokers, retries: true })
  const ends = now ? (await consumer.listOffsets({ topics: [topic] })).get(topic).map(Number) : []
  const begins = []
  for (const [partition, end] of ends.entries()) begins.push(await begin(reader(consumer, topic, partition), end, end))
  const partitions = new Map(begins.map(({ partition }, number) => [number, partition]))
  const offsets = begins.map(({ start }, partition) => ({ topic, partition, offset: BigInt(start) }))
  const from = now ? { mode: 'manual', offsets } : { mode: 'earliest' }
  const stream = await consumer.consume({ topics: [topic], ...from, autocommit: false })
  if (now) console.error(`from now on; read from the offsets ${begins.map(({ start }) => start)}`)
  for await (const { partition: number, offset, key, value, headers } of stream) {
    if (!partitions.has(number)) partitions.set(number, new Partition())
    const commit = partitions.get(number).take(record(offset, key, headers, value))
    if (commit && offset >= (ends[number] ?? 0)) print(commit)
  }
}

function print({ run, id, events }) {
  events.forEach(({ type }, index) => console.log(`${run} ${id.slice(0, 12)}.${index} ${type}`))
}

function record(offset, key, raw, value) {
  const headers = Object.fromEntries([...raw].map(([name, text]) => [`${name}`, `${text}`]))
  return { offset, key: `${key ?? ''}`, headers, value: value ?? Buffer.alloc(0) }
}

// Return one partition as a log, whose stretches are fetched from its leader without following it.
function reader(consumer, topic, partition) {
  return async function* (from, to) {
    const { id, partitions } = (await consumer.metadata({ topics: [topic] })).topics.get(topic)
    const place = { partition, currentLeaderEpoch: -1, lastFetchedEpoch: -1, partitionMaxBytes: 1 << 20 }
    while (from < to) {
      const topics = [{ topicId: id, partitions: [{ ...place, fetchOffset: BigInt(from) }] }]
      const fetched = await consumer.fetch({ node: partitions[partition].leader, topics, maxWaitTime: 1000 })
      const own = fetched.responses.flatMap((each) => each.partitions).find((each) => each.partitionIndex === partition)
      for (const batch of own?.records ?? []) {
        const first = Number(batch.firstOffset)
        for (const { offsetDelta, key, headers, value } of batch.records) {
          const offset = first + offsetDelta
          if (offset >= from && offset < to) yield record(offset, key, headers, value)
        }
        from = Math.max(from, first + batch.lastOffsetDelta + 1)
      }
    }
  }
}

async function tryVectors(file) {
  const { vectors } = JSON.parse(readFileSync(file))
  const results = vectors.map(async ({ name, records: shown, begins }) => {
    const records = shown.map((each) => ({
      ...each,
      key: each.key ?? '',
      value: each.value_base64 ? Buffer.from(each.value_base64, 'base64') : Buffer.from(each.value ?? ''),
    }))
    const accepted = (partition, from) =>
      records.filter((record) => record.offset >= from && partition.take(record)).map(({ offset }) => offset)
    const state = ({ epoch, runs }) => ({
      epoch,
      heads: Object.fromEntries([...runs].map(([run, { head }]) => [run, head])),
    })
    const log = (from, to) => records.filter(({ offset }) => offset >= from && offset < to)
    const began = async ({ position }) => {
      const { start, checkpoint, partition } = await begin(log, position, Infinity)
      const { ended, commands, clock } = partition
      const found = { position, checkpoint, start, ...state(partition), commands, clock }
      found.ended = Object.fromEntries(ended)
      return { ...found, accepted: accepted(partition, start).filter((offset) => offset >= position) }
    }
    const whole = new Partition()
    return {
      name,
      accepted: accepted(whole, 0),
      ...state(whole),
      begins: await Promise.all(begins.map(began)),
    }
  })
  console.log(JSON.stringify(await Promise.all(results)))
}

const [first, second, third] = process.argv.slice(2)
if (second === undefined) {
  console.error('Usage: node follow.mjs BROKERS PREFIX [--now], or node follow.mjs --vectors FILE')
  process.exitCode = 2
} else if (first === '--vectors') await tryVectors(second)
else await follow(first, second, third === '--now')
