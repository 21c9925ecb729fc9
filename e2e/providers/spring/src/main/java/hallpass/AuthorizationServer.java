package hallpass;

import com.nimbusds.jose.KeySourceException;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.proc.SecurityContext;
import java.io.File;
import java.io.IOException;
import java.text.ParseException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.oauth2.jwt.JwtEncoder;
import org.springframework.security.oauth2.jwt.NimbusJwtEncoder;
import org.springframework.security.oauth2.server.authorization.OAuth2TokenType;
import org.springframework.security.oauth2.server.authorization.token.JwtEncodingContext;
import org.springframework.security.oauth2.server.authorization.token.OAuth2TokenCustomizer;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;

@SpringBootApplication
public class AuthorizationServer {
  /** Scopes of the API. A user gets those that are also the user's authorities. */
  private static final Set<String> API_SCOPES = Set.of("read:data", "read:data2");
  private static final Map<String, String> NAMES = Map.of("ada", "Ada Okafor", "ben", "Ben Ruiz");

  public static void main(String[] args) {
    SpringApplication.run(AuthorizationServer.class, args);
  }

  @Bean
  UserDetailsService users() {
    return new InMemoryUserDetailsManager(
        User.withUsername("ada").password("{noop}ada").authorities("read:data", "read:data2").build(),
        User.withUsername("ben").password("{noop}ben").authorities("read:data").build());
  }

  /** Reads the keys again for each use, so that a new file is a rotation. */
  @Bean
  JWKSource<SecurityContext> keys(@Value("${keys-file}") File file) {
    return (selector, context) -> {
      try {
        return selector.select(JWKSet.load(file));
      } catch (IOException | ParseException error) {
        throw new KeySourceException("Cannot read " + file, error);
      }
    };
  }

  /** With two keys for one algorithm, Spring signs nothing unless it is told which one to use. */
  @Bean
  JwtEncoder encoder(JWKSource<SecurityContext> keys) {
    NimbusJwtEncoder encoder = new NimbusJwtEncoder(keys);
    encoder.setJwkSelector(found -> found.get(0));
    return encoder;
  }

  @Bean
  OAuth2TokenCustomizer<JwtEncodingContext> claims(@Value("${api-audience}") String audience) {
    return context -> {
      if (OAuth2TokenType.ACCESS_TOKEN.equals(context.getTokenType())) {
        Set<String> held = context.getPrincipal().getAuthorities().stream()
            .map(GrantedAuthority::getAuthority).collect(Collectors.toSet());
        Set<String> scopes = new TreeSet<>(context.getAuthorizedScopes());
        scopes.removeIf(scope -> API_SCOPES.contains(scope) && !held.contains(scope));
        context.getClaims().audience(List.of(audience)).claim("scope", scopes);
      } else {
        // UserInfo answers with these claims too.
        String name = context.getPrincipal().getName();
        context.getClaims().claim("name", NAMES.get(name)).claim("email", name + "@example.com");
      }
    };
  }
}
