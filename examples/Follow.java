import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

import static java.nio.charset.StandardCharsets.UTF_8;

/**
 * Follows the events of Runline, with nothing of Runline: Kafka's client and Jackson are all that it needs.
 *
 * <pre>
 * java -cp 'libs/*' Follow.java BROKERS PREFIX          print every event that counts, from the first one on
 * java -cp 'libs/*' Follow.java BROKERS PREFIX --now    print those that come, beginning at checkpoints
 * java -cp 'libs/*' Follow.java --vectors FILE          print what this rule makes of the acceptance vectors, as JSON
 * </pre>
 */
public final class Follow {
    static final Set<String> TYPES = Set.of(
            "run.created", "run.started", "run.succeeded", "run.failed", "run.cancelled",
            "trace.started", "trace.succeeded", "trace.failed", "trace.cancelled", "command.refused");
    static final Set<String> ENDS = Set.of("run.succeeded", "run.failed", "run.cancelled");
    static final long WINDOW = 3_600_000; // milliseconds
    static final int BACKWARDS = 64;
    static final ObjectMapper JSON = new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    /** A record of one partition; a key or a value that is not there is empty. */
    record Entry(long offset, String key, Map<String, String> headers, byte[] value) {
        String header(String name) {
            return headers.get(name);
        }

        boolean is(String type) {
            return type.equals(header("ce_type"));
        }
    }

    /** A commit that counts. */
    record Commit(String id, String run, JsonNode events) {}

    /** An open run: its last commit that counts, and the highest offset of `commands` that it decided. */
    record Open(String head, long decided) {}

    /** What a part says of itself and of its checkpoint. */
    record Heading(String epoch, long start, long part, long parts, long commands, long clock) {
        static Heading of(Entry entry) {
            try {
                Heading found = new Heading(entry.header("epoch"), number(entry, "start"), number(entry, "part"),
                        number(entry, "parts"), number(entry, "commands"), number(entry, "clock"));
                boolean whole = found.epoch != null && found.start >= 0 && found.part >= 0 && found.part < found.parts;
                return whole ? found : null;
            } catch (NumberFormatException none) {
                return null;
            }
        }

        private static long number(Entry entry, String name) {
            return Long.parseLong(String.valueOf(entry.header(name)));
        }

        boolean sameCheckpoint(Heading other) {
            return other != null && epoch.equals(other.epoch) && start == other.start;
        }

        String id(byte[] value) {
            return sha256(String.format("%s\n%d\n%d\n%d\n%d\n%d\n", epoch, start, part, parts, commands, clock), value);
        }
    }

    /** The rule of the log for one partition. */
    static final class Partition {
        String epoch;
        final Map<String, Open> runs = new TreeMap<>();
        final Map<String, Long> ended = new TreeMap<>();
        final Set<String> unreadable = new HashSet<>();
        long commands = 0;
        long clock = -1;
        private final Map<String, Set<Long>> parts = new HashMap<>();

        /** Takes the next record; returns the commit in it if it counts, else null. */
        Commit take(Entry entry) {
            if (entry.is("runline.fence") && entry.key().equals("fence")) {
                epoch = entry.offset() + ":" + entry.headers().getOrDefault("nonce", "");
                parts.clear();
            } else if (entry.is("runline.checkpoint") && entry.key().equals("checkpoint")) {
                take(Heading.of(entry));
            }
            return entry.is("runline.commit") ? commit(entry) : null;
        }

        private Commit commit(Entry entry) {
            String run = entry.key(), id = entry.header("ce_id"), prev = entry.header("prev");
            Open known = runs.get(run);
            if (epoch == null || !epoch.equals(entry.header("epoch"))) return null;
            if (!(known == null ? "genesis" : known.head()).equals(prev)) return null;
            if (ended.containsKey(run) || unreadable.contains(run)) return null;
            if (!sha256(prev + "\n" + epoch + "\n", entry.value()).equals(id)) return null;
            JsonNode value = parse(entry.value(), run);
            long decided = value == null ? -1 : value.get("decided").asLong(-1);
            if (known == null && decided >= 0 && decided < commands) return null;
            if (value == null || !fits(value.get("events"), known == null)) {
                runs.remove(run);
                unreadable.add(run);
                return null;
            }
            Open state = new Open(id, Math.max(decided, known == null ? -1 : known.decided()));
            runs.put(run, state);
            for (JsonNode event : value.get("events")) {
                if (ENDS.contains(event.get("type").asText()) && runs.remove(run) != null) {
                    ended.put(run, state.decided());
                }
            }
            return new Commit(id, run, value.get("events"));
        }

        /** When all parts of a checkpoint are there, ended runs may be forgotten that no late copy can begin again. */
        private void take(Heading found) {
            if (found == null || !found.epoch().equals(epoch)) return;
            Set<Long> numbers = parts.computeIfAbsent(epoch + " " + found.start(), start -> new HashSet<>());
            numbers.add(found.part());
            if (numbers.size() < found.parts()) return;
            parts.remove(epoch + " " + found.start());
            commands = Math.max(commands, found.commands());
            clock = Math.max(clock, found.clock());
            String digits = String.format("%012x", Math.max(found.clock() - WINDOW, 0));
            String floor = digits.substring(0, 8) + "-" + digits.substring(8);
            ended.entrySet().removeIf(run -> run.getValue() < found.commands() && run.getKey().compareTo(floor) < 0);
        }
    }

    /** Returns a commit's value; null for bytes that are none of this run. */
    static JsonNode parse(byte[] data, String run) {
        try {
            JsonNode value = JSON.readTree(UTF_8.newDecoder().decode(ByteBuffer.wrap(data)).toString());
            JsonNode decided = value.path("decided"), events = value.path("events");
            boolean whole = value.path("run").asText().equals(run) && events.isArray() && !events.isEmpty();
            return whole && (decided.isNull() || decided.isIntegralNumber()) ? value : null;
        } catch (CharacterCodingException | JsonProcessingException none) {
            return null;
        }
    }

    /** Returns whether all events are known, and the first of a run, and no other one, creates it. */
    static boolean fits(JsonNode events, boolean first) {
        for (int index = 0; index < events.size(); index++) {
            String type = events.get(index).path("type").asText();
            if (!TYPES.contains(type) || type.equals("run.created") != (first && index == 0)) return false;
        }
        return true;
    }

    static String sha256(String text, byte[] value) {
        try {
            MessageDigest hash = MessageDigest.getInstance("SHA-256");
            hash.update(text.getBytes(UTF_8));
            return HexFormat.of().formatHex(hash.digest(value));
        } catch (NoSuchAlgorithmException impossible) {
            throw new AssertionError(impossible);
        }
    }

    /** Gives out the records of one partition that there are from an offset to before another one. */
    interface Log {
        Iterable<Entry> read(long from, long to);
    }

    /** Where to begin: the offset, the checkpoint or -1 for none, and what is known there. */
    record Begin(long start, long checkpoint, Partition partition) {}

    /** Returns where to begin so that everything from a position on is exact. */
    static Begin begin(Log log, long position, long end) throws IOException {
        Set<String> tried = new HashSet<>();
        for (long last = position; last > 0; last -= BACKWARDS) {
            List<Entry> entries = new ArrayList<>();
            log.read(Math.max(0, last - BACKWARDS), last).forEach(entries::add);
            Collections.reverse(entries);
            for (Entry entry : entries) {
                String named = entry.header("checkpoint");
                if ("none".equals(named)) return new Begin(0, -1, new Partition());
                if (named == null || !named.matches("[0-9]{1,18}") || !tried.add(named)) continue;
                Begin found = load(log, Long.parseLong(named), end);
                if (found != null && found.start() <= position) return found;
            }
        }
        return new Begin(0, -1, new Partition());
    }

    private static Begin load(Log log, long first, long end) throws IOException {
        Iterator<Entry> named = log.read(first, Math.min(first + 1, end)).iterator();
        Entry part = named.hasNext() ? named.next() : null;
        Heading of = part != null && part.is("runline.checkpoint") ? Heading.of(part) : null;
        if (of == null || of.start() > first) return null;
        Partition partition = new Partition();
        Set<Long> numbers = new HashSet<>();
        for (Entry entry : log.read(of.start(), end)) {
            if (entry.is("runline.fence")) return null;
            Heading own = entry.is("runline.checkpoint") && entry.offset() >= first ? Heading.of(entry) : null;
            if (!of.sameCheckpoint(own) || !numbers.add(own.part())) continue;
            if (!own.id(entry.value()).equals(entry.header("ce_id"))) return null;
            JsonNode value = JSON.readTree(entry.value());
            for (JsonNode run : value.get("runs")) {
                Open open = new Open(run.get("head").asText(), run.get("decided").asLong());
                partition.runs.put(run.get("run").asText(), open);
            }
            value.get("ended").properties().forEach(
                    run -> partition.ended.put(run.getKey(), run.getValue().asLong()));
            if (numbers.size() < of.parts()) continue;
            partition.epoch = of.epoch();
            partition.commands = of.commands();
            partition.clock = of.clock();
            return new Begin(of.start(), first, partition);
        }
        return null;
    }

    static void follow(String brokers, String prefix, boolean now) throws IOException {
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn");
        Map<String, Object> settings = Map.of("bootstrap.servers", brokers, "auto.offset.reset", "none");
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> all = new ArrayList<>();
            consumer.partitionsFor(prefix + ".events").forEach(
                    each -> all.add(new TopicPartition(each.topic(), each.partition())));
            consumer.assign(all);
            Map<TopicPartition, Partition> partitions = new HashMap<>();
            Map<TopicPartition, Long> ends = consumer.endOffsets(all), starts = new HashMap<>();
            for (TopicPartition place : all) {
                long end = ends.get(place);
                Begin begin = now ? begin(reader(consumer, place), end, end) : new Begin(0, -1, new Partition());
                partitions.put(place, begin.partition());
                starts.put(place, begin.start());
            }
            consumer.assign(all);
            starts.forEach(consumer::seek);
            if (now) System.err.println("from now on; read from the offsets " + offsets(starts));
            while (true) {
                for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    TopicPartition place = new TopicPartition(record.topic(), record.partition());
                    Commit commit = partitions.get(place).take(entry(record));
                    if (commit != null && (!now || record.offset() >= ends.get(place))) print(commit);
                }
            }
        }
    }

    static Map<Integer, Long> offsets(Map<TopicPartition, Long> places) {
        Map<Integer, Long> offsets = new TreeMap<>();
        places.forEach((place, offset) -> offsets.put(place.partition(), offset));
        return offsets;
    }

    static void print(Commit commit) {
        for (int index = 0; index < commit.events().size(); index++) {
            String type = commit.events().get(index).get("type").asText();
            System.out.printf("%s %s.%d %s%n", commit.run(), commit.id().substring(0, 12), index, type);
        }
    }

    static Entry entry(ConsumerRecord<String, byte[]> record) {
        Map<String, String> headers = new HashMap<>();
        for (Header header : record.headers()) {
            headers.put(header.key(), header.value() == null ? "" : new String(header.value(), UTF_8));
        }
        byte[] value = record.value() == null ? new byte[0] : record.value();
        return new Entry(record.offset(), record.key() == null ? "" : record.key(), headers, value);
    }

    /** Returns the partition as a log, read record by record through the consumer. */
    static Log reader(KafkaConsumer<String, byte[]> consumer, TopicPartition place) {
        return (from, to) -> () -> {
            consumer.assign(List.of(place));
            consumer.seek(place, from);
            return new Iterator<>() {
                private Iterator<ConsumerRecord<String, byte[]>> polled = Collections.emptyIterator();
                private ConsumerRecord<String, byte[]> next;

                @Override
                public boolean hasNext() {
                    while (next == null && (polled.hasNext() || consumer.position(place) < to)) {
                        if (polled.hasNext()) next = polled.next();
                        else polled = consumer.poll(Duration.ofSeconds(1)).iterator();
                    }
                    return next != null && next.offset() < to;
                }

                @Override
                public Entry next() {
                    Entry entry = entry(next);
                    next = null;
                    return entry;
                }
            };
        };
    }

    static void tryVectors(File file) throws IOException {
        ArrayNode results = JSON.createArrayNode();
        for (JsonNode vector : JSON.readTree(file).get("vectors")) {
            List<Entry> entries = new ArrayList<>();
            vector.get("records").forEach(shown -> entries.add(shown(shown)));
            Log log = (from, to) ->
                    entries.stream().filter(each -> each.offset() >= from && each.offset() < to)::iterator;
            ObjectNode result = results.addObject().put("name", vector.get("name").asText());
            Partition whole = new Partition();
            accept(log.read(0, Long.MAX_VALUE), whole, 0, result);
            state(whole, result);
            ArrayNode begins = result.putArray("begins");
            for (JsonNode wanted : vector.get("begins")) {
                long position = wanted.get("position").asLong();
                Begin begin = begin(log, position, Long.MAX_VALUE);
                ObjectNode found = begins.addObject().put("position", position).put("start", begin.start());
                found.put("checkpoint", begin.checkpoint() < 0 ? null : begin.checkpoint());
                state(begin.partition(), found);
                begin.partition().ended.forEach(found.putObject("ended")::put);
                found.put("commands", begin.partition().commands).put("clock", begin.partition().clock);
                accept(log.read(begin.start(), Long.MAX_VALUE), begin.partition(), position, found);
            }
        }
        System.out.println(results);
    }

    private static Entry shown(JsonNode shown) {
        Map<String, String> headers = new HashMap<>();
        shown.get("headers").properties().forEach(each -> headers.put(each.getKey(), each.getValue().asText()));
        JsonNode encoded = shown.get("value_base64");
        byte[] value = encoded == null
                ? shown.get("value").asText("").getBytes(UTF_8)
                : Base64.getDecoder().decode(encoded.asText());
        return new Entry(shown.get("offset").asLong(), shown.get("key").asText(""), headers, value);
    }

    private static void accept(Iterable<Entry> entries, Partition partition, long position, ObjectNode result) {
        ArrayNode accepted = result.putArray("accepted");
        for (Entry entry : entries) {
            if (partition.take(entry) != null && entry.offset() >= position) accepted.add(entry.offset());
        }
    }

    private static void state(Partition partition, ObjectNode result) {
        ObjectNode heads = result.put("epoch", partition.epoch).putObject("heads");
        partition.runs.forEach((run, open) -> heads.put(run, open.head()));
    }

    public static void main(String[] arguments) throws IOException {
        if (arguments.length < 2) {
            System.err.println("Usage: Follow.java BROKERS PREFIX [--now], or Follow.java --vectors FILE");
            System.exit(2);
        } else if (arguments[0].equals("--vectors")) {
            tryVectors(new File(arguments[1]));
        } else {
            follow(arguments[0], arguments[1], arguments.length > 2 && arguments[2].equals("--now"));
        }
    }
}
