//! The parameters of a request, wherever they come from: the query, a JSON body, or a multipart form with its files.

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, Request},
    http::header,
};
use serde_json::{Map, Value};

use crate::{errors::Refusal, rows::Attributes};

/// A file that came with a form.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub filename: String,
    pub content_type: String,
    pub bytes: Bytes,
}

#[derive(Debug, Default)]
pub(crate) struct Params {
    pub values: Attributes,
    pub files: Vec<Upload>,
}

impl Params {
    /// A string, or what Rails would make one of.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        match self.values.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A string that is not blank.
    pub(crate) fn present(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.trim().is_empty())
    }

    pub(crate) fn int(&self, key: &str) -> Option<i64> {
        self.text(key)?.trim().parse().ok()
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.text(key).map(|text| matches!(text.as_str(), "true" | "1" | "on"))
    }

    pub(crate) fn object(&self, key: &str) -> Option<Attributes> {
        self.values.get(key)?.as_object().cloned()
    }

    pub(crate) fn strings(&self, key: &str) -> Option<Vec<String>> {
        let list = self.values.get(key)?.as_array()?;
        Some(list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// `a`, `a[]` and `a[b]`, as forms and queries write them.
    fn insert(&mut self, name: &str, value: Value) {
        let Some((outer, inner)) = name.split_once('[') else {
            self.values.insert(name.to_owned(), value);
            return;
        };
        let inner = inner.trim_end_matches(']');
        let slot = self.values.entry(outer.to_owned()).or_insert(Value::Null);
        if inner.is_empty() {
            match slot {
                Value::Array(list) => list.push(value),
                _ => *slot = Value::Array(vec![value]),
            }
        } else {
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            if let Value::Object(map) = slot {
                map.insert(inner.to_owned(), value);
            }
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let mut params = Self::default();
        for (name, value) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
            params.insert(&name, Value::String(value.into_owned()));
        }
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        if let Ok(boundary) = multer::parse_boundary(&content_type) {
            read_form(multer::Multipart::new(request.into_body().into_data_stream(), boundary), &mut params)
                .await
                .map_err(|_| Refusal::malformed())?;
            return Ok(params);
        }
        // A body cut short is no body: nothing may come of it.
        let body = to_bytes(request.into_body(), usize::MAX).await.map_err(|_| Refusal::malformed())?;
        if content_type.starts_with("application/json") && !body.is_empty() {
            match serde_json::from_slice(&body) {
                Ok(Value::Object(values)) => params.values.extend(values),
                Ok(_) => {}
                Err(_) => return Err(Refusal::malformed()),
            }
        } else if content_type.starts_with("application/x-www-form-urlencoded") {
            for (name, value) in url::form_urlencoded::parse(&body) {
                params.insert(&name, Value::String(value.into_owned()));
            }
        }
        Ok(params)
    }
}

async fn read_form(mut form: multer::Multipart<'_>, params: &mut Params) -> multer::Result<()> {
    while let Some(field) = form.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        if let Some(filename) = field.file_name().map(str::to_owned) {
            let content_type =
                field.content_type().map_or("application/octet-stream", |mime| mime.essence_str()).to_owned();
            params.files.push(Upload { filename, content_type, bytes: field.bytes().await? });
        } else {
            let text = field.text().await?;
            params.insert(&name, Value::String(text));
        }
    }
    Ok(())
}
