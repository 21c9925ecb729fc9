//! `reqwest-eventsource`.

use std::env::var;

use futures::StreamExt;
use reqwest::{Certificate, Client};
use reqwest_eventsource::{Event, EventSource};
use serde_json::{json, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let authority = Certificate::from_pem(&std::fs::read(var("CA_FILE")?)?)?;
    let client = Client::builder()
        .add_root_certificate(authority)
        .build()?;
    let mut token = var("ANSWER_TOKEN").ok();
    let mut handle = String::new();
    let mut source = EventSource::new(client.get(var("STREAM_URL")?))?;
    while let Some(event) = source.next().await {
        match event {
            Ok(Event::Open) => {}
            Ok(Event::Message(message)) => {
                println!("{}", json!({"event": message.event, "data": message.data, "id": message.id}));
                if message.event == "stream" {
                    let stream: Value = serde_json::from_str(&message.data)?;
                    handle = stream["handle"].as_str().unwrap_or_default().to_owned();
                }
                if message.event != "challenge" {
                    continue;
                }
                if let Some(token) = token.take() {
                    let answer = client
                        .post(var("ANSWER_URL")?)
                        .bearer_auth(token)
                        .header("content-type", "application/x-challenge-response")
                        .header("stream-handle", &handle)
                        .send()
                        .await?;
                    println!("{}", json!({"answered": answer.status().as_u16()}));
                }
            }
            Err(error) => println!("{}", json!({"error": error.to_string()})),
        }
    }
    Ok(())
}
