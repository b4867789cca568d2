package org.crispcast;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Paths;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.webrtc.DataChannel;

/**
 * RedirectRun FOLDER CASE: sessions with a token, at the server that the app named and by its 307 at
 * one of another port, which the app names or not. The data channel falls silent after the manifest,
 * so that assets are fetched. Then the connection is lost, and the named server is full. Says of
 * every request, once, which server had it and what Authorization it bore.
 */
public final class RedirectRun {
    private static final BlockingQueue<String> HEARD = new LinkedBlockingQueue<>();
    private static final AtomicBoolean FULL = new AtomicBoolean();

    private RedirectRun() {}

    public static void main(String[] arguments) throws Exception {
        Recording recording = new Recording(Paths.get(arguments[0]), arguments[1]);
        play("/whep/clip", false, recording);
        play("/whep/moved", false, recording);
        play("/whep/moved", true, recording);
    }

    private static void play(String path, boolean trusts, Recording recording) throws Exception {
        System.out.println(path + (trusts ? ", trusted" : ""));
        // Servers of its own: what the play before still fetches is not heard here.
        HttpServer other = server("other");
        HttpServer named = server("named");
        other.createContext("/whep/clip", exchange -> answer(exchange, "other"));
        named.createContext("/whep/clip", exchange -> answer(exchange, "named"));
        named.createContext("/whep/moved", exchange -> {
            tell(exchange, "named");
            boolean full = FULL.get();
            if (!full)
                exchange.getResponseHeaders().set(
                        "Location", address(other) + "/whep/clip?hops=1");
            exchange.sendResponseHeaders(full ? 503 : 307, -1);
            exchange.close();
        });
        FULL.set(false);
        try {
            String[] origins = trusts ? new String[] {address(other)} : new String[0];
            play(address(named) + path, origins, recording);
        } finally {
            named.stop(0);
            other.stop(0);
        }
    }

    private static void play(String url, String[] origins, Recording recording) throws Exception {
        CountDownLatch wanted = new CountDownLatch(1);
        CountDownLatch closed = new CountDownLatch(1);
        SessionListener listener = new SessionListener() {
            @Override
            public void onState(SessionState state, String sentence) {
                if (state == SessionState.CLOSED) closed.countDown();
            }
        };
        FarEnd far = new FarEnd(
                url, frame -> {}, listener,
                new SessionOptions().token("secret").tokenOrigins(origins));
        HEARD.clear();
        far.start();
        far.hears(text -> {
            if (new String(text, StandardCharsets.UTF_8).contains("\"want\"")) wanted.countDown();
        });
        for (Recording.Step step : recording.steps) {
            if (step.text("do").equals("frame")) break;
            far.does(step);
            for (int i = 0; i < 4; ++i) far.session.figures();
            if (wanted.await(0, TimeUnit.SECONDS)) break;
        }
        sayUntil("GET");
        if (url.endsWith("moved")) {
            FULL.set(true);
            far.becomes(DataChannel.State.CLOSED);
            far.next();
            System.out.println("lost");
            sayUntil("POST other");
        }
        far.session.close();
        if (!closed.await(10, TimeUnit.SECONDS)) throw new AssertionError("not closed");
    }

    /** Offers, and of the assets, of which there are many, the first where it is waited for. */
    private static void sayUntil(String last) throws InterruptedException {
        String heard;
        do {
            heard = HEARD.poll(20, TimeUnit.SECONDS);
            if (heard == null) throw new AssertionError("no " + last);
            if (!heard.startsWith("GET") || last.equals("GET")) System.out.println(heard);
        } while (!heard.startsWith(last));
    }

    private static HttpServer server(String name) throws IOException {
        HttpServer made =
                HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        made.createContext("/assets/", exchange -> {
            tell(exchange, name);
            exchange.sendResponseHeaders(404, -1);
            exchange.close();
        });
        made.start();
        return made;
    }

    private static String address(HttpServer server) {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    private static void answer(HttpExchange exchange, String name) throws IOException {
        exchange.getRequestBody().readAllBytes();
        if (exchange.getRequestMethod().equals("POST")) {
            tell(exchange, name);
            byte[] sdp = "v=0\r\n".getBytes(StandardCharsets.US_ASCII);
            exchange.getResponseHeaders().set("Content-Type", "application/sdp");
            exchange.getResponseHeaders().set("Location", "/whep/clip/session");
            exchange.sendResponseHeaders(201, sdp.length);
            exchange.getResponseBody().write(sdp);
        } else {
            exchange.sendResponseHeaders(200, -1);
        }
        exchange.close();
    }

    private static void tell(HttpExchange exchange, String name) {
        String query = exchange.getRequestURI().getQuery();
        HEARD.add(exchange.getRequestMethod() + " " + name + (query == null ? " " : "?" + query + " ")
                + exchange.getRequestHeaders().getFirst("Authorization"));
    }
}
