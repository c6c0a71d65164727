//! GitHub's published description of the endpoints, as a judge of requests
//! and answers.

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// The description, cut to what is used here.
pub struct Spec {
    document: Value,
}

impl Spec {
    pub fn load() -> Self {
        let mut document: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        plain_schemas(&mut document);
        Self { document }
    }

    /// The first example of an answer.
    pub fn example(&self, name: &str) -> Value {
        self.document["components"]["examples"][name]["value"].clone()
    }

    /// What is wrong with a request: an unknown path, method or parameter, or
    /// a value of the wrong form.
    pub fn request(&self, method: &str, path: &str, query: &str) -> Result<&Value, String> {
        let paths = self.document["paths"].as_object().unwrap();
        let fitting = paths.iter().find_map(|(template, item)| {
            let values = fit(template, path)?;
            let operation = item.get(method.to_lowercase())?;
            Some((operation, values))
        });
        let (operation, in_path) =
            fitting.ok_or_else(|| format!("{method} {path} is not described"))?;
        let empty = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&empty);
        let parameters: Vec<&Value> = parameters
            .iter()
            .map(|parameter| self.resolve(parameter))
            .collect();
        let mut given: Vec<(&str, String, String)> = in_path
            .into_iter()
            .map(|(name, value)| ("path", name, value))
            .collect();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            given.push(("query", name.to_owned(), value.to_owned()));
        }
        for (place, name, text) in &given {
            let parameter = parameters
                .iter()
                .find(|parameter| parameter["in"] == *place && parameter["name"] == name.as_str())
                .ok_or_else(|| {
                    format!("{method} {path}: {place} parameter {name} is not described")
                })?;
            let value = match parameter["schema"]["type"].as_str() {
                Some("integer") => text
                    .parse::<i64>()
                    .map_or(json!(text), |number| json!(number)),
                _ => json!(text),
            };
            self.check(&parameter["schema"], &value)
                .map_err(|error| format!("{method} {path}: {name}: {error}"))?;
        }
        for parameter in parameters
            .iter()
            .filter(|parameter| parameter["required"] == true)
        {
            if !given
                .iter()
                .any(|(_, name, _)| parameter["name"] == name.as_str())
            {
                return Err(format!("{method} {path}: {} is missing", parameter["name"]));
            }
        }
        Ok(operation)
    }

    /// What is wrong with an answer. Statuses that any endpoint may give
    /// need not be described for each; their body is the common error.
    pub fn answer(&self, operation: &Value, status: u16, body: &[u8]) -> Result<(), String> {
        let described = operation["responses"].get(status.to_string());
        let schema = match described.map(|response| self.resolve(response)) {
            Some(response) => response["content"]["application/json"]
                .get("schema")
                .cloned(),
            // Any GET may be conditional.
            None if status == 304 => None,
            None if status >= 400 => Some(json!({"$ref": "#/components/schemas/basic-error"})),
            None => return Err(format!("status {status} is not described")),
        };
        let Some(schema) = schema else {
            return if body.is_empty() {
                Ok(())
            } else {
                Err(format!("status {status} has a body"))
            };
        };
        let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        self.check(&schema, &value)
    }

    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let mut root = schema.clone();
        root["components"] = self.document["components"].clone();
        let validator: Validator = jsonschema::options()
            .with_draft(Draft::Draft4)
            .should_validate_formats(true)
            .build(&root)
            .map_err(|error| error.to_string())?;
        match validator.iter_errors(value).next() {
            None => Ok(()),
            Some(error) => Err(format!("{error} at {}", error.instance_path())),
        }
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self
                .document
                .pointer(reference.trim_start_matches('#'))
                .unwrap(),
            None => value,
        }
    }
}

/// The values of a path template's parameters; only the last one may go over
/// several segments, as the description marks it for git references.
fn fit(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let mut values = Vec::new();
    let mut segments = path.split('/');
    let mut parts = template.split('/').peekable();
    while let Some(part) = parts.next() {
        let segment = segments.next()?;
        match part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        {
            None if part == segment => {}
            None => return None,
            Some("ref") if parts.peek().is_none() => {
                let rest: Vec<&str> = std::iter::once(segment).chain(segments.by_ref()).collect();
                values.push(("ref".to_owned(), rest.join("/")));
            }
            Some(name) => values.push((name.to_owned(), segment.to_owned())),
        }
    }
    segments.next().is_none().then_some(values)
}

/// OpenAPI 3.0 says `nullable` where JSON Schema says "or null".
fn plain_schemas(value: &mut Value) {
    if let Value::Object(fields) = value
        && fields.remove("nullable") == Some(json!(true))
    {
        let other = Value::Object(std::mem::take(fields));
        *value = json!({"anyOf": [other, {"type": "null"}]});
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(plain_schemas),
        Value::Array(items) => items.iter_mut().for_each(plain_schemas),
        _ => {}
    }
}
