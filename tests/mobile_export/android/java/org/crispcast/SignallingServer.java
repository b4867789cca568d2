package org.crispcast;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicInteger;

/** WHEP as far as a client's signalling needs it: every offer is answered, sessions are deleted. */
final class SignallingServer implements AutoCloseable {
    private final HttpServer server;
    private final AtomicInteger deleted = new AtomicInteger();

    /** `link`: a header of that name in every answer; null for none. */
    SignallingServer(String link) throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        byte[] answer = "v=0\r\n".getBytes(StandardCharsets.US_ASCII);
        server.createContext("/whep/clip", exchange -> {
            exchange.getRequestBody().readAllBytes();
            if (exchange.getRequestMethod().equals("POST")) {
                exchange.getResponseHeaders().set("Content-Type", "application/sdp");
                exchange.getResponseHeaders().set("Location", "/whep/clip/session");
                if (link != null) exchange.getResponseHeaders().add("Link", link);
                exchange.sendResponseHeaders(201, answer.length);
                exchange.getResponseBody().write(answer);
            } else {
                deleted.incrementAndGet();
                exchange.sendResponseHeaders(200, -1);
            }
            exchange.close();
        });
        server.start();
    }

    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort() + "/whep/clip";
    }

    /** How many sessions clients have deleted. */
    int deleted() {
        return deleted.get();
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
