import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;
import okhttp3.sse.EventSource;
import okhttp3.sse.EventSourceListener;
import okhttp3.sse.EventSources;

/** Square's SSE client on OkHttp. */
class OkHttpSse extends EventSourceListener {
  private final OkHttpClient client;
  private String handle;
  private String token = System.getenv("ANSWER_TOKEN");

  OkHttpSse(OkHttpClient client) {
    this.client = client;
  }

  public static void main(String[] args) throws Exception {
    KeyStore authorities = KeyStore.getInstance(KeyStore.getDefaultType());
    authorities.load(null, null);
    try (FileInputStream file = new FileInputStream(System.getenv("CA_FILE"))) {
      authorities.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(authorities);
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    OkHttpClient client = new OkHttpClient.Builder()
        .sslSocketFactory(tls.getSocketFactory(), (X509TrustManager) trust.getTrustManagers()[0])
        .readTimeout(Duration.ZERO)
        .build();
    Request request = new Request.Builder().url(System.getenv("STREAM_URL")).build();
    EventSources.createFactory((okhttp3.Call.Factory) client).newEventSource(request, new OkHttpSse(client));
  }

  @Override
  public void onEvent(EventSource source, String id, String type, String data) {
    String event = type == null || type.isEmpty() ? "message" : type;
    write("{\"event\":" + quote(event) + ",\"data\":" + quote(data) + ",\"id\":" + quote(id == null ? "" : id) + "}");
    if (event.equals("stream")) {
      var match = Pattern.compile("\"handle\":\"([^\"]*)\"").matcher(data);
      if (match.find()) handle = match.group(1);
    }
    if (event.equals("challenge") && token != null) answer();
  }

  @Override
  public void onFailure(EventSource source, Throwable thrown, Response response) {
    write("{\"error\":" + quote(response == null ? String.valueOf(thrown) : "status " + response.code()) + "}");
    System.exit(0);
  }

  @Override
  public void onClosed(EventSource source) {
    System.exit(0);
  }

  private void answer() {
    Request request = new Request.Builder()
        .url(System.getenv("ANSWER_URL"))
        .post(RequestBody.create(new byte[0], null))
        .header("Authorization", "Bearer " + token)
        .header("Content-Type", "application/x-challenge-response")
        .header("Stream-Handle", handle)
        .build();
    token = null;
    try (Response response = client.newCall(request).execute()) {
      write("{\"answered\":" + response.code() + "}");
    } catch (java.io.IOException thrown) {
      write("{\"error\":" + quote(thrown.toString()) + "}");
    }
  }

  private static void write(String record) {
    byte[] line = (record + "\n").getBytes(java.nio.charset.StandardCharsets.UTF_8);
    System.out.write(line, 0, line.length);
    System.out.flush();
  }

  private static String quote(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char unit : text.toCharArray()) {
      if (unit < 0x20 || unit == '"' || unit == '\\' || unit > 0x7e) quoted.append(String.format("\\u%04x", (int) unit));
      else quoted.append(unit);
    }
    return quoted.append('"').toString();
  }
}
