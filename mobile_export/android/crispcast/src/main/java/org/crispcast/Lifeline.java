package org.crispcast;

import java.net.URL;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.webrtc.PeerConnectionFactory;
import org.webrtc.VideoSink;

/**
 * The connection to the server, and another one where it is lost, for as long as the options say
 * (docs/protocol.md, "A lost connection"): by the address that the app gave and, where a redirect
 * led elsewhere, in turn by that. Of the session's thread.
 */
final class Lifeline {
    private static final long FIRST_WAIT_MS = 250;
    private static final long LONGEST_WAIT_MS = 5_000;
    private static final long JOINING_MS = 10_000; // until a server that answers has brought its manifest

    /** The session, told on its own thread. */
    interface Owner {
        /** Runs it on the session's thread. Any thread; false where the session is closed. */
        boolean post(TaskRunner.Answer answer);

        /** Runs it there after a while, unless that is cancelled; null where the session is closed. */
        Future<?> later(long milliseconds, TaskRunner.Answer answer);

        void channelOpen() throws CrispcastException;

        void text(byte[] utf8) throws CrispcastException;

        void binary(byte[] bytes) throws CrispcastException;

        /**
         * A connection is gone, and all frames that came by it were given. Whether the play is over
         * with it.
         */
        boolean parted() throws CrispcastException;

        /** What played is lost, and looked for. */
        void lost(String why);

        /** It is not to be found. */
        void gaveUp(String why);
    }

    private final URL given;
    private final Bearer bearer;
    private final long patienceMs;
    private final PeerConnectionFactory factory;
    private final VideoSink sink;
    private final Workers workers;
    private final Owner owner;

    private URL answered; // by whom, the last time
    private Connection connection;
    private URL endpoint; // of the connection
    private AssetFetcher fetcher; // once its channel is open
    private Future<?> timer; // of the next try, or of this one's patience
    private boolean looking = true;
    private boolean over;
    private int tries;
    private long lostSince;
    private long waitMs;

    Lifeline(
            URL given, Bearer bearer, int reconnectSeconds, PeerConnectionFactory factory,
            VideoSink sink, Workers workers, Owner owner) {
        this.given = given;
        this.bearer = bearer;
        this.patienceMs = 1000L * reconnectSeconds;
        this.factory = factory;
        this.sink = sink;
        this.workers = workers;
        this.owner = owner;
        answered = given;
    }

    /** Looks for the server. */
    void start() {
        lostSince = System.nanoTime();
        connect();
    }

    /** The connection's manifest is here. */
    void joined() {
        if (connection != null) after(0, null); // else it waits for the next try
    }

    /** Frames come, or would. */
    void found() {
        joined();
        looking = false;
    }

    /** Who gets assets by HTTP; null without a channel, whose opening has them asked for anew. */
    AssetFetcher fetcher() {
        return fetcher;
    }

    void send(byte[] utf8) {
        if (connection != null) connection.send(utf8);
    }

    /** The connection is of no use any more: looks for the server again. */
    void lose(String why) {
        lose(why, 0);
    }

    /** Ends it for good. */
    void end() {
        over = true;
        after(0, null);
        disconnect();
    }

    /** Does it after a while, in the place of what was to be done then; null: nothing. */
    private void after(long milliseconds, TaskRunner.Answer answer) {
        if (timer != null) timer.cancel(false);
        timer = answer == null ? null : owner.later(milliseconds, answer);
    }

    private void connect() {
        if (over) return;
        URL place = tries++ % 2 == 0 ? given : answered;
        try {
            connection = new Connection(factory, new Peer(place), sink);
        } catch (CrispcastException error) {
            owner.gaveUp(error.getMessage());
        }
    }

    private void disconnect() {
        if (connection == null) return;
        if (fetcher != null) fetcher.close();
        fetcher = null;
        Connection old = connection;
        connection = null;
        URL there = old.session;
        old.close();
        if (there != null) farewell(there);
    }

    private void farewell(URL session) {
        workers.farewells.execute(() -> Whep.delete(session));
    }

    private void lose(String why, int waitSeconds) {
        if (over || connection == null) return;
        disconnect();
        owner.post(() -> comeBack(why, waitSeconds)); // after the frames that wait
    }

    /** Tries again, later each time, until that has lasted too long. */
    private void comeBack(String why, int waitSeconds) throws CrispcastException {
        if (over || owner.parted()) return;
        long now = System.nanoTime();
        if (!looking) {
            looking = true;
            lostSince = now;
            waitMs = 0;
            owner.lost(why);
        }
        waitMs = waitMs == 0 ? FIRST_WAIT_MS : Math.min(2 * waitMs, LONGEST_WAIT_MS);
        long wait = Math.max(waitMs + (long) (Math.random() * 100), 1000L * waitSeconds);
        long lasts = TimeUnit.NANOSECONDS.toMillis(now - lostSince) + wait;
        if (lasts > patienceMs) owner.gaveUp(why);
        else after(wait, this::connect);
    }

    /** Blocks. */
    private void signal(Connection of, URL place, String sdp) {
        try {
            Whep.Answer answer = Whep.post(place, sdp, bearer);
            if (!owner.post(() -> answered(of, place, answer))) Whep.delete(answer.session);
        } catch (Whep.Refusal refusal) {
            owner.post(() -> {
                if (of != connection) return;
                if (refusal.isFinal()) owner.gaveUp(refusal.getMessage());
                else lose(refusal.getMessage(), refusal.waitSeconds);
            });
        } catch (CrispcastException error) {
            owner.post(() -> {
                if (of == connection) lose(error.getMessage());
            });
        }
    }

    private void answered(Connection of, URL place, Whep.Answer answer) throws CrispcastException {
        if (of != connection) {
            farewell(answer.session);
            return;
        }
        tries = 0; // the next one begins with the address that the app gave
        answered = answer.redirected ? Whep.withoutQuery(answer.endpoint) : place;
        endpoint = answer.endpoint;
        after(JOINING_MS, () -> lose("the server answers, and nothing comes"));
        of.answered(answer);
    }

    private final class Peer implements Connection.Owner {
        private final URL place;

        Peer(URL place) {
            this.place = place;
        }

        @Override
        public void offer(Connection of, String sdp) {
            try {
                workers.offers.execute(() -> signal(of, place, sdp));
            } catch (RejectedExecutionException closing) {
                // closed meanwhile
            }
        }

        @Override
        public void channelOpen(Connection of) {
            owner.post(() -> {
                if (of != connection) return;
                fetcher = new AssetFetcher(endpoint, bearer);
                owner.channelOpen();
            });
        }

        @Override
        public void text(Connection of, byte[] utf8) {
            owner.post(() -> {
                if (of == connection) owner.text(utf8);
            });
        }

        @Override
        public void binary(Connection of, byte[] bytes) {
            owner.post(() -> {
                if (of == connection) owner.binary(bytes);
            });
        }

        @Override
        public void lost(Connection of, String why) {
            owner.post(() -> {
                if (of == connection) lose(why);
            });
        }
    }
}
