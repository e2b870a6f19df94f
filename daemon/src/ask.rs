//! `consultd ask`: a client of the running box for people. It speaks to the broker as a tablet does.

use crate::Exit;
use clap::{Args, ValueEnum};
use contract::{
    answer::Answer,
    case::*,
    ids::{Lang, RequestId, TabletName},
    limits::DEADLINE_S_DEFAULT,
    reply::{Alert, ErrorReply, Reply, Section},
    topic,
    words::Triage,
};
use rumqttc::{
    Transport,
    v5::{
        AsyncClient, Event, MqttOptions,
        mqttbytes::{QoS, v5::Packet},
    },
};
use serde_json::{Value, json};
use std::{
    cell::RefCell,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Asks a running box for a second opinion and prints what it says as it comes.
///
/// Exit status: 0 when the answer came, 3 when an error or nothing came.
#[derive(Args)]
pub struct Ask {
    /// The complaint, in the patient's or the doctor's own words.
    #[arg(required_unless_present = "request")]
    complaint: Option<String>,
    /// Age in years.
    #[arg(long)]
    age: Option<f32>,
    #[arg(long, value_enum)]
    sex: Option<SexWord>,
    /// Pregnant; with a number, for so many weeks.
    #[arg(long, value_name = "WEEKS", num_args = 0..=1, default_missing_value = "0")]
    pregnant: Option<u8>,
    /// How long it has lasted, e.g. "3天".
    #[arg(long)]
    duration: Option<String>,
    /// Exposure codes: livestock, raw_milk, tick, pesticide, coal_stove, …
    #[arg(long, value_delimiter = ',')]
    exposures: Option<Vec<String>>,
    /// Department code, or `auto`.
    #[arg(long, default_value = "auto")]
    department: String,
    /// Language of the answer; by default that of the complaint.
    #[arg(long, value_enum)]
    lang: Option<LangWord>,
    /// Ahead of routine cases.
    #[arg(long)]
    urgent: bool,
    /// Seconds until the box answers at the latest.
    #[arg(long, default_value_t = DEADLINE_S_DEFAULT)]
    deadline: u32,
    /// Sends this file, a `consult` message in JSON, instead; an `id` of "new" is replaced by a fresh one.
    #[arg(long, conflicts_with_all = ["complaint", "age", "sex", "pregnant", "duration", "exposures", "lang", "urgent", "department", "deadline"])]
    request: Option<PathBuf>,
    /// The broker: a Unix socket's path, or host:port (without TLS, for tests).
    #[arg(long, env = "CONSULTD_BROKER", default_value = "/run/consultd/mqtt.sock")]
    broker: String,
    /// The tablet's name, the last level of its topics.
    #[arg(long, default_value = "ask")]
    tablet: String,
    /// Prints the messages as they are, one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Also appends the messages as they are to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum SexWord {
    #[value(alias = "male")]
    M,
    #[value(alias = "female")]
    F,
}

#[derive(Clone, Copy, ValueEnum)]
enum LangWord {
    Zh,
    En,
}

impl Ask {
    pub fn main(&self) -> Exit {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let asked = runtime.map_err(|e| e.to_string()).and_then(|runtime| runtime.block_on(self.ask()));
        match asked {
            Ok(exit) => exit,
            Err(fault) => {
                eprintln!("consultd ask: {fault}");
                Exit::NoAnswer
            }
        }
    }

    async fn ask(&self) -> Result<Exit, String> {
        let request = self.request()?;
        let id: RequestId = serde_json::from_value(request["id"].clone()).map_err(|e| format!("id: {e}"))?;
        let tablet = TabletName::new(&self.tablet).ok_or("the tablet's name holds letters, digits, - _ . only")?;
        let deadline = request["deadline_s"].as_u64().unwrap_or(DEADLINE_S_DEFAULT.into());
        let lang = if request["lang"] == "en" { Lang::En } else { Lang::Zh };

        let (client, mut events) = AsyncClient::new(self.options()?, 16);
        let fault = |e: rumqttc::v5::ClientError| e.to_string();
        let (began, patience) = (Instant::now(), Duration::from_secs(deadline + 30));
        let bytes = serde_json::to_vec(&request).map_err(|e| e.to_string())?;
        // MQTT promises nothing before `accepted`: until then the same bytes are sent again.
        let (mut subscribed, mut accepted, mut again, mut pause) = (false, false, began, Duration::from_secs(5));
        let printer = Printer {
            began,
            lang,
            json: self.json,
            colours: std::io::stdout().is_terminal(),
            said: RefCell::default(),
        };
        loop {
            if began.elapsed() >= patience {
                return Err(format!("no answer within {} s", patience.as_secs()));
            }
            if subscribed && !accepted && Instant::now() >= again {
                client.publish(topic::request(&tablet), QoS::AtLeastOnce, false, bytes.clone()).await.map_err(fault)?;
                again = Instant::now() + pause;
                pause = (pause * 2).min(Duration::from_secs(60));
            }
            let event = match tokio::time::timeout(Duration::from_secs(1), events.poll()).await {
                Ok(event) => {
                    event.map_err(|e| format!("cannot talk to the broker at {}: {}", self.broker, engine::chain(&e)))?
                }
                Err(_) => continue, // nothing came: look at the clock
            };
            match event {
                Event::Incoming(Packet::ConnAck(_)) => {
                    client.subscribe(topic::response(&tablet), QoS::AtLeastOnce).await.map_err(fault)?;
                }
                Event::Incoming(Packet::SubAck(_)) => (subscribed, again) = (true, Instant::now()),
                Event::Incoming(Packet::Publish(publish)) => {
                    let reply = Reply::parse(&publish.payload).map_err(|e| format!("unreadable message: {e}"))?;
                    if reply.id().is_some_and(|other| other != id) {
                        continue; // of an earlier question under the same name
                    }
                    accepted = true;
                    printer.print(&reply, &publish.payload).map_err(|e| format!("cannot print: {e}"))?;
                    self.keep(&publish.payload)?;
                    match reply {
                        Reply::Answer(_) => {
                            let receipt = json!({"v": 1, "type": "receipt", "id": id}).to_string();
                            client
                                .publish(topic::receipt(&tablet), QoS::AtLeastOnce, false, receipt)
                                .await
                                .map_err(fault)?;
                            say_goodbye(&client, &mut events).await;
                            return Ok(Exit::Done);
                        }
                        Reply::Error(error) if !error.is_final => {
                            pause = Duration::from_secs(error.retry_after_s.unwrap_or(5).into());
                            (accepted, again) = (false, Instant::now() + pause);
                        }
                        Reply::Error(_) => return Ok(Exit::NoAnswer),
                        Reply::Accepted(_) | Reply::Alert(_) | Reply::Progress(_) => {}
                        Reply::Reviewed(_) | Reply::Report(_) => {} // nobody here asked for them
                    }
                }
                _ => {}
            }
        }
    }

    fn keep(&self, message: &[u8]) -> Result<(), String> {
        let Some(path) = &self.save else { return Ok(()) };
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(&[message, b"\n"].concat()))
            .map_err(|e| format!("{}: {e}", path.display()))
    }

    fn options(&self) -> Result<MqttOptions, String> {
        let client = format!("{}-{}", self.tablet, std::process::id());
        let mut options = match self.broker.rsplit_once(':') {
            Some((host, port)) if !self.broker.starts_with('/') => {
                let port = port.parse().map_err(|_| format!("{}: not a port", self.broker))?;
                let mut options = MqttOptions::new(client, host, port);
                // Small messages, each of which somebody waits for.
                let mut network = options.network_options();
                network.set_tcp_nodelay(true);
                options.set_network_options(network);
                options
            }
            _ => {
                if !Path::new(&self.broker).exists() {
                    return Err(format!(
                        "no broker at {}: is the box running? (--broker PATH or HOST:PORT, or CONSULTD_BROKER)",
                        self.broker
                    ));
                }
                let mut options = MqttOptions::new(client, &self.broker, 0);
                options.set_transport(Transport::Unix);
                options
            }
        };
        options.set_max_packet_size(Some(contract::limits::MESSAGE_BYTES_MAX as u32 * 2));
        Ok(options)
    }

    fn request(&self) -> Result<Value, String> {
        if let Some(path) = &self.request {
            let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let mut request: Value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
            if request["id"] == "new" {
                request["id"] = json!(uuid::Uuid::new_v4());
            }
            return Ok(request);
        }
        let complaint = self.complaint.as_deref().unwrap_or_default();
        let lang = match self.lang {
            Some(LangWord::Zh) => "zh",
            Some(LangWord::En) => "en",
            None if complaint.is_ascii() => "en",
            None => "zh",
        };
        Ok(json!({
            "v": 1, "type": "consult", "id": uuid::Uuid::new_v4(), "lang": lang, "department": self.department,
            "priority": if self.urgent { "urgent" } else { "routine" }, "deadline_s": self.deadline,
            "app": concat!("consultd ask ", env!("CARGO_PKG_VERSION")), "case": self.case(complaint)?,
        }))
    }

    fn case(&self, complaint: &str) -> Result<Value, String> {
        let weeks = |given: u8| Some(given).filter(|weeks| *weeks > 0);
        let case = Case {
            age: self.age.map(|value| Age { value, unit: AgeUnit::Year }),
            sex: match self.sex {
                Some(SexWord::M) => Sex::Male,
                Some(SexWord::F) => Sex::Female,
                None => Sex::Unknown,
            },
            pregnancy: self.pregnant.map(|given| Pregnancy { status: PregnancyStatus::Pregnant, weeks: weeks(given) }),
            ..Case::default()
        };
        let mut case = serde_json::to_value(case).map_err(|e| e.to_string())?;
        case["complaint"] = json!({"text": complaint});
        if let Some(duration) = &self.duration {
            case["complaint"]["duration"] = json!(duration);
        }
        if let Some(exposures) = &self.exposures {
            case["exposures"] = json!(exposures);
        }
        Ok(case)
    }
}

/// Lets the receipt leave before the process does.
async fn say_goodbye(client: &AsyncClient, events: &mut rumqttc::v5::EventLoop) {
    let left = async {
        while let Ok(event) = events.poll().await {
            if matches!(event, Event::Incoming(Packet::PubAck(_))) {
                break;
            }
        }
        let _ = client.try_disconnect();
        let _ = events.poll().await;
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), left).await;
}

/// Adds a line to what is said of one message.
macro_rules! say {
    ($printer:expr, $($text:tt)*) => {{
        use std::fmt::Write;
        let _ = writeln!($printer.said.borrow_mut(), $($text)*);
    }};
}

struct Printer {
    began: Instant,
    lang: Lang,
    json: bool,
    colours: bool,
    said: RefCell<String>,
}

impl Printer {
    /// An error when nobody reads any more, as behind `| head`.
    fn print(&self, reply: &Reply, bytes: &[u8]) -> std::io::Result<()> {
        if self.json {
            say!(self, "{}", String::from_utf8_lossy(bytes));
        } else {
            self.tell(reply);
        }
        let said = self.said.take();
        std::io::stdout().write_all(said.as_bytes())
    }

    fn tell(&self, reply: &Reply) {
        match reply {
            Reply::Accepted(m) => {
                let eta = m.eta_s.map(|s| format!(", about {s} s")).unwrap_or_default();
                self.head("accepted", &format!("on the box's disk; {} ahead{eta}", m.queue));
            }
            Reply::Alert(m) => self.alert(m),
            // What is printed cannot be replaced: finished sections only. `--json` shows every line as it comes.
            Reply::Progress(m) if !m.complete => {}
            Reply::Progress(m) => {
                self.head("progress", self.section(m.section));
                m.lines.iter().for_each(|line| say!(self, "           {}", &**line));
            }
            Reply::Answer(m) => self.answer(m),
            Reply::Error(m) => self.error(m),
            Reply::Reviewed(_) | Reply::Report(_) => {}
        }
    }

    fn head(&self, kind: &str, text: &str) {
        say!(self, "{:>7.3} s  {kind:<9} {text}", self.began.elapsed().as_secs_f64());
    }

    fn paint(&self, triage: Triage, text: &str) -> String {
        let code = match triage {
            Triage::Green => 32,
            Triage::Yellow => 33,
            Triage::Red => 31,
        };
        if self.colours { format!("\x1b[1;{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn section(&self, section: Section) -> &'static str {
        engine::form::header(section, self.lang)
    }

    fn alert(&self, alert: &Alert) {
        let triage = format!("{:?}", alert.triage).to_uppercase();
        self.head("alert", &self.paint(alert.triage, &triage));
        for flag in &alert.red_flags {
            say!(self, "           {} {}", flag.rule, flag.title.get(self.lang));
        }
    }

    fn answer(&self, answer: &Answer) {
        let triage = self.paint(answer.triage, &format!("{:?}", answer.triage).to_uppercase());
        self.head("answer", &format!("{triage}, {}", answer.department));
        let row = |name: &str, reason: &str| say!(self, "             · {name} — {reason}");
        say!(self, "           {}", self.section(Section::CannotExclude));
        for e in answer.cannot_exclude.iter() {
            let next = e.next_check.as_ref().map(|n| format!(" → {}", &**n)).unwrap_or_default();
            row(&e.condition, &format!("{}{next}", &*e.because));
        }
        say!(self, "           {}", self.section(Section::PossibleCauses));
        answer.possible_causes.iter().for_each(|c| row(&c.name, &c.because));
        say!(self, "           {}", self.section(Section::SuggestedChecks));
        answer.suggested_checks.iter().for_each(|c| row(&c.what, &c.why));
        say!(self, "           {}", self.section(Section::MedicationCautions));
        answer.medication_cautions.iter().for_each(|c| row(&c.drug, &c.risk));
        say!(self, "           {}", self.section(Section::MissingInformation));
        answer.missing_information.iter().for_each(|q| row(&q.question, &q.why));
        self.provenance(answer);
    }

    fn provenance(&self, answer: &Answer) {
        let p = &answer.provenance;
        let adapter = p.adapter.as_ref().map_or("no adapter".to_owned(), |a| format!("{} {}", a.id, a.version));
        let t = &p.timings;
        say!(
            self,
            "           {adapter}; rules {}; {} tokens read, {} written; {} ms",
            p.rules.version,
            t.tokens_read,
            t.tokens_written,
            t.total_ms
        );
        if !p.degraded.is_empty() {
            say!(self, "           degraded: {:?}", p.degraded);
        }
        let disclaimer = match self.lang {
            Lang::Zh => contract::answer::Disclaimer::ZH,
            Lang::En => contract::answer::Disclaimer::EN,
        };
        say!(self, "           {disclaimer}");
    }

    fn error(&self, error: &ErrorReply) {
        let place = error.pointer.as_ref().map(|p| format!(" at {p}")).unwrap_or_default();
        self.head("error", &format!("{:?}{place}: {}", error.code, error.message.get(self.lang)));
    }
}
