// Kafka Streams doing the benchmarks' works: one stream thread, record caches on.
//
// Usage: Yardstick BOOTSTRAP APP_ID TOPIC OUT_TOPIC WORK COMMIT_MS WARM_UP SECONDS
// It runs until it has processed WARM_UP records and then SECONDS more, prints its own
// figure as one line ("RESULT records seconds"), and leaves.  SECONDS of 0: until it is killed.

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.Stores;

public final class Yardstick {
    /** The record of four fields that every contender decodes. */
    public static final class Payment {
        public String account;
        public double amount;
        public String country;
        public long number;
    }

    private static final ObjectReader READER = new ObjectMapper().readerFor(Payment.class);
    private static final ObjectWriter WRITER = new ObjectMapper().writerFor(Payment.class);
    private static final AtomicLong PROCESSED = new AtomicLong();

    private static Payment decode(String topic, byte[] data) {
        try {
            return data == null ? null : READER.readValue(data);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] encode(String topic, Payment payment) {
        try {
            return WRITER.writeValueAsBytes(payment);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    // One stream thread writes; an ordered store is enough and costs no fence.
    private static void count() {
        PROCESSED.lazySet(PROCESSED.get() + 1);
    }

    private static void countPerKey(KStream<String, Payment> source, KeyValueBytesStoreSupplier store) {
        Serde<Payment> payments = Serdes.serdeFrom(Yardstick::encode, Yardstick::decode);
        source.peek((key, value) -> count())
            .groupByKey(Grouped.with(Serdes.String(), payments))
            .count(Materialized.<String, Long>as(store)
                .withKeySerde(Serdes.String())
                .withValueSerde(Serdes.Long())
                .withCachingEnabled());
    }

    private static StreamsBuilder topology(String topic, String out, String work) {
        Serde<Payment> payments = Serdes.serdeFrom(Yardstick::encode, Yardstick::decode);
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, Payment> source = builder.stream(topic, Consumed.with(Serdes.String(), payments));
        switch (work) {
            case "decode" -> source.foreach((key, value) -> count());
            case "count" -> countPerKey(source, Stores.inMemoryKeyValueStore("counts"));
            case "count-rocksdb" -> countPerKey(source, Stores.persistentKeyValueStore("counts"));
            case "forward" -> source.peek((key, value) -> count())
                .to(out, Produced.with(Serdes.String(), payments));
            default -> throw new IllegalArgumentException("unknown work: " + work);
        }
        return builder;
    }

    private static Properties config(String bootstrap, String appId, String commitMillis) {
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, appId);
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L << 20);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, commitMillis);
        config.put(StreamsConfig.STATE_DIR_CONFIG, Path.of(System.getProperty("java.io.tmpdir"), "state").toString());
        config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        return config;
    }

    private static void waitUntilProcessed(long records) throws InterruptedException {
        while (PROCESSED.get() < records) {
            Thread.sleep(5);
        }
    }

    public static void main(String[] args) throws Exception {
        long warmUp = Long.parseLong(args[6]);
        long nanos = (long) (Double.parseDouble(args[7]) * 1e9);
        StreamsBuilder builder = topology(args[2], args[3], args[4]);
        KafkaStreams streams = new KafkaStreams(builder.build(), config(args[0], args[1], args[5]));
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
        if (nanos == 0) {
            Thread.currentThread().join(); // Somebody else measures, and ends us with SIGTERM.
        }
        waitUntilProcessed(warmUp);
        long records = PROCESSED.get(), began = System.nanoTime();
        long last = records, lastAt = began;
        while (System.nanoTime() - began < nanos) {
            Thread.sleep(5);
            long now = PROCESSED.get();
            if (now != last) {
                last = now;
                lastAt = System.nanoTime();
            } else if (System.nanoTime() - lastAt > 3_000_000_000L) {
                break; // The topic is at its end: the figure covers what there was.
            }
        }
        System.out.printf("RESULT %d %.3f%n", last - records, (lastAt - began) / 1e9);
        System.out.flush();
        System.exit(0);
    }
}
