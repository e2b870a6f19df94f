//! What awaits the second physician as one page: the question, what was changed, and three buttons. It loads nothing and
//! sends nothing; `reviewed.jsonl` is a download.
//!
//! The samples stand in it as JSON, which the script puts on the page as text, never as markup. Only scripts with the
//! page's nonce run, and that is the hash of the samples: no text of theirs can know it.

use super::decisions::text_seen;
use crate::page;
use contract::{
    ids::{Lang, department_name_zh},
    reply::Section,
    sample::Sample,
};
use engine::{form, prompt};
use maud::{Markup, PreEscaped, html};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub fn page(samples: &[Sample]) -> Markup {
    let data = inert(&json!({"samples": samples.iter().map(shown).collect::<Vec<_>>()}));
    let nonce = engine::hex(&Sha256::digest(&data));
    let script = format!("; script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'");
    let body = html! {
        header {
            h1 { "第二位医师审核" span.en lang="en" { "Second review" } }
            p {
                "第一位医师看过的答复，请另一位医师再看：接受、修改，或拒绝。不写剂量，不写患者姓名。每行“名称：依据”，“；”后写下一步。"
                br;
                span.en lang="en" {
                    "Answers that one physician has seen, for another to see: accept, edit or reject. No doses, no names of patients. "
                    "One \"name: reason; next step\" a line. Nothing leaves this computer; when done, download and hand back the file."
                }
            }
            div.bar {
                label { "审核人 " span.en lang="en" { "Reviewer " } input #by autocomplete="off" maxlength="64"; }
                span #count aria-live="polite" {}
                button #download type="button" { "下载 reviewed.jsonl" span.en lang="en" { "Download" } }
                p #told role="status" {}
            }
        }
        main #list {}
        noscript { p { "此页需要 JavaScript。This page needs JavaScript." } }
        script #data type="application/json" { (PreEscaped(&data)) }
        script nonce=(nonce) { (PreEscaped(include_str!("page/review.js"))) }
    };
    page::page("第二位医师审核 · Second review", &[include_str!("page/style.css")], &script, body)
}

fn shown(sample: &Sample) -> Value {
    let lang = sample.lang;
    json!({
        "id": sample.id,
        "of": text_seen(sample),
        "first": sample.review.by,
        "verdict": sample.review.verdict,
        "department": match lang {
            Lang::Zh => department_name_zh(&sample.department).unwrap_or(&sample.department),
            Lang::En => &*sample.department,
        },
        "nothing": if lang == Lang::Zh { "无" } else { "None" },
        "question": prompt::render_case(&sample.case, lang),
        "headers": Section::ALL.map(|section| form::header(section, lang)),
        "before": sample.rejected,
        "after": sample.completion,
    })
}

/// JSON that HTML reads as nothing but text: no `<` that could end its element, and no line break of JavaScript's own.
fn inert(value: &Value) -> String {
    let mut text = value.to_string();
    for (mark, escape) in
        [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029")]
    {
        text = text.replace(mark, escape);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str) -> Sample {
        let line = json!({"id": text, "department": "internal", "lang": "zh", "case": {"complaint": {"text": text}},
            "completion": {"causes": [text], "exclusions": [text], "checks": [text], "cautions": [text], "missing": [text]},
            "review": {"by": text, "at": "2026", "verdict": "accepted"}, "source": "s", "license": "l", "deid": true});
        serde_json::from_value(line).expect("a sample")
    }

    #[test]
    fn no_text_breaks_out_of_the_data_and_all_of_it_comes_back() {
        for text in [
            "</script><script>alert(1)</script>",
            "<!--<script>",
            "]]>&amp;&lt;",
            "\u{2028}\u{2029}",
            "\"'\\</ScRiPt >",
            "<img onerror=x>",
        ] {
            let page = page(&[sample(text)]).into_string();
            // The page's own: the data's, and the script's.
            assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2), "{text}");
            assert_eq!(page.to_lowercase().matches("</script").count(), 2, "{text}");
            assert!(!page.contains("<img") && !page.contains("<!--"), "{text}");
            let data = page.split("type=\"application/json\">").nth(1).and_then(|rest| rest.split("</script>").next());
            let data = data.expect("the data");
            assert!(!data.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{text}");
            let read: Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(read["samples"][0]["after"]["causes"][0], json!(text));
            assert_eq!(read["samples"][0]["id"], json!(text));
        }
    }

    #[test]
    fn the_page_loads_nothing_and_runs_its_own_script_only() {
        let page = page(&[sample("头痛")]).into_string();
        for way_out in [
            "http://",
            "https://",
            "src=",
            "href=",
            "innerHTML",
            "outerHTML",
            "eval(",
            "fetch(",
            "insertAdjacent",
            "document.write",
        ] {
            assert!(!page.contains(way_out), "{way_out}");
        }
        assert!(page.contains("default-src 'none'") && page.contains("script-src 'nonce-"));
        let nonce = page.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce");
        assert!(nonce.len() == 64 && page.contains(&format!("'nonce-{nonce}'")));
        assert!(!super::page(&[sample("咳嗽")]).into_string().contains(nonce), "the nonce is of the samples");
    }
}
