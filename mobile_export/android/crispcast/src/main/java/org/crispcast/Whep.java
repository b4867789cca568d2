package org.crispcast;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.MalformedURLException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The HTTP half of WHEP, from the player's side (draft-ietf-wish-whep-03, 4.2 to 4.5). Blocks. */
final class Whep {
    private static final int MAX_ANSWER_BYTES = 256 << 10;
    private static final int TIMEOUT_MS = 15_000;
    private static final int REDIRECTS = 3;
    private static final Pattern ICE = Pattern.compile(
            "<([^>]*)>\\s*;\\s*rel=\"?ice-server\"?([^,]*)", Pattern.CASE_INSENSITIVE);

    private Whep() {}

    /** A STUN or TURN server of the answer. */
    static final class IceServer {
        final String url;
        final String username;
        final String credential;

        IceServer(String url, String username, String credential) {
            this.url = url;
            this.username = username;
            this.credential = credential;
        }
    }

    /** The 201: the answer's SDP, the session's URL for DELETE, who answered, ICE servers. */
    static final class Answer {
        final String sdp;
        /** Null where it is said to be of an origin that is not to be contacted. */
        final URL session;
        final URL endpoint;
        /** Whether a redirect led to the endpoint. */
        final boolean redirected;
        final List<IceServer> iceServers;

        Answer(
                String sdp, URL session, URL endpoint, boolean redirected,
                List<IceServer> iceServers) {
            this.sdp = sdp;
            this.session = session;
            this.endpoint = endpoint;
            this.redirected = redirected;
            this.iceServers = iceServers;
        }
    }

    /** The server answered with another status than 201. */
    static final class Refusal extends CrispcastException {
        private static final long serialVersionUID = 1;
        final int http;
        final int waitSeconds;

        Refusal(String sentence, int http, int waitSeconds) {
            super(NETWORK, sentence);
            this.http = http;
            this.waitSeconds = waitSeconds;
        }

        /** Whether trying again cannot help (docs/protocol.md). */
        boolean isFinal() {
            return http == 400 || http == 401 || http == 403 || http == 404;
        }
    }

    /** POSTs the offer, and follows redirects: the bearer knows who of those may see the token. */
    static Answer post(URL first, String sdp, Bearer bearer) throws CrispcastException {
        URL url = first;
        for (int i = 0; i <= REDIRECTS; ++i) {
            try {
                HttpURLConnection connection = open(url, "POST", bearer);
                connection.setRequestProperty("Content-Type", "application/sdp");
                connection.setDoOutput(true);
                try (OutputStream out = connection.getOutputStream()) {
                    out.write(sdp.getBytes(StandardCharsets.UTF_8));
                }
                int status = connection.getResponseCode();
                String location = connection.getHeaderField("Location");
                if (status == 307 && location != null) {
                    url = checked(url, location);
                    continue;
                }
                if (status != 201) throw refusal(url, connection, status);
                byte[] body = read(connection.getInputStream(), MAX_ANSWER_BYTES);
                String type = connection.getContentType();
                if (location == null || type == null || !type.startsWith("application/sdp"))
                    throw new CrispcastException(
                            CrispcastException.NETWORK, url + " does not speak WHEP");
                return new Answer(
                        new String(body, StandardCharsets.UTF_8), session(url, location, bearer), url,
                        i > 0, iceServers(connection.getHeaderFields()));
            } catch (IOException error) {
                throw unreachable(url, error);
            }
        }
        throw new CrispcastException(CrispcastException.NETWORK, first + ": too many redirects");
    }

    /**
     * Where the session is: at the origin that answered, or at one that may see the token. A server
     * cannot send our requests elsewhere: then null.
     */
    static URL session(URL endpoint, String location, Bearer bearer) throws CrispcastException {
        URL said = checked(endpoint, location);
        boolean same = Bearer.origin(said).equals(Bearer.origin(endpoint));
        return same || bearer.trusts(said) ? said : null;
    }

    /** Ends the session on the server; null: none. One that is gone already is no error. */
    static void delete(URL session) {
        if (session == null) return;
        try {
            open(session, "DELETE", null).getResponseCode();
        } catch (IOException error) {
            // Gone, or going by itself.
        }
    }

    /** A connection that follows no redirects. {@code bearer} null: no token is sent. */
    static HttpURLConnection open(URL url, String method, Bearer bearer) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) url.openConnection();
        connection.setInstanceFollowRedirects(false);
        connection.setConnectTimeout(TIMEOUT_MS);
        connection.setReadTimeout(TIMEOUT_MS);
        connection.setRequestMethod(method);
        String header = bearer == null ? null : bearer.header(url);
        if (header != null) connection.setRequestProperty("Authorization", header);
        return connection;
    }

    /** The URL, from `base` on, where it is one of http or https. */
    static URL checked(URL base, String address) throws CrispcastException {
        try {
            URL url = new URL(base, address);
            String scheme = url.getProtocol();
            boolean web = scheme.equals("http") || scheme.equals("https");
            if (web && !url.getHost().isEmpty()) return url;
        } catch (MalformedURLException error) {
            // said below
        }
        throw new CrispcastException(
                CrispcastException.NETWORK, "\"" + address
                        + "\" is not an address like https://HOST/whep/NAME");
    }

    /** Where a redirect led, without what it said of the way there. */
    static URL withoutQuery(URL url) throws CrispcastException {
        return url.getQuery() == null ? url : checked(url, url.getPath());
    }

    static CrispcastException unreachable(URL url, IOException error) {
        return new CrispcastException(
                CrispcastException.NETWORK,
                url + " does not answer: " + error.getMessage() + "; is the server there?");
    }

    static byte[] read(InputStream in, int most) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] buffer = new byte[8192];
        for (int n; (n = in.read(buffer)) >= 0; ) {
            if (out.size() + n > most) throw new IOException("more than " + most + " bytes");
            out.write(buffer, 0, n);
        }
        return out.toByteArray();
    }

    private static Refusal refusal(URL url, HttpURLConnection connection, int status)
            throws IOException {
        InputStream body = connection.getErrorStream();
        String said = body == null ? "" : new String(read(body, 4096), StandardCharsets.UTF_8);
        Matcher detail = Pattern.compile("\"detail\"\\s*:\\s*\"([^\"]*)\"").matcher(said);
        String why = detail.find() ? detail.group(1) : "refused";
        String retry = connection.getHeaderField("Retry-After");
        int wait = retry != null && retry.matches("[0-9]{1,5}") ? Integer.parseInt(retry) : 0;
        String again = wait > 0 ? "; try again in " + wait + " s" : "";
        return new Refusal(url + ": " + why + " (status " + status + ")" + again, status, wait);
    }

    /** The Link headers with rel="ice-server" (draft-ietf-wish-whep, 4.6). */
    static List<IceServer> iceServers(Map<String, List<String>> headers) {
        List<IceServer> servers = new ArrayList<>();
        for (Map.Entry<String, List<String>> header : headers.entrySet()) {
            if (!"Link".equalsIgnoreCase(header.getKey())) continue;
            for (String value : header.getValue()) {
                Matcher link = ICE.matcher(value);
                while (link.find())
                    servers.add(new IceServer(
                            link.group(1), parameter(link.group(2), "username"),
                            parameter(link.group(2), "credential")));
            }
        }
        return servers;
    }

    private static String parameter(String parameters, String name) {
        Matcher found = Pattern.compile(name + "=\"([^\"]*)\"").matcher(parameters);
        return found.find() ? found.group(1) : "";
    }
}
