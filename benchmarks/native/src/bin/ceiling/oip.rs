//! Open Inference Protocol JSON: as little of it as one FP32 input and numeric outputs need, in one pass.

use crate::model::{Output, Values};

/// Appends the values of the request's first input to `out` and gives its number of rows; `None` where the body is not
/// such a request.
pub fn read_rows(body: &[u8], columns: usize, out: &mut Vec<f32>) -> Option<usize> {
    let before = out.len();
    let mut cursor = Cursor { text: body, at: 0 };
    let mut rows = None;
    cursor.object(|cursor, key| match key {
        b"inputs" if rows.is_none() => cursor.array(|cursor, index| {
            if index > 0 {
                return cursor.skip();
            }
            cursor.object(|cursor, key| match key {
                b"shape" => cursor.shape(columns).map(|found| rows = Some(found)),
                b"data" => cursor.numbers(out),
                _ => cursor.skip(),
            })
        }),
        _ => cursor.skip(),
    })?;
    let rows = rows?;
    (rows > 0 && out.len() - before == rows * columns).then_some(rows)
}

/// Appends the answer for rows `first..first + rows` of the outputs.
pub fn write_answer(outputs: &[Output<'_>], first: usize, rows: usize, out: &mut Vec<u8>) {
    let mut integers = itoa::Buffer::new();
    out.extend_from_slice(br#"{"model_name":"fraud","model_version":"1","outputs":["#);
    for (index, output) in outputs.iter().enumerate() {
        out.extend_from_slice(if index == 0 { br#"{"name":""# } else { br#",{"name":""# });
        out.extend_from_slice(output.name.as_bytes());
        out.extend_from_slice(match output.values {
            Values::F32(_) => br#"","datatype":"FP32","shape":["#,
            Values::I64(_) => br#"","datatype":"INT64","shape":["#,
        });
        out.extend_from_slice(integers.format(rows).as_bytes());
        if !output.flat {
            out.push(b',');
            out.extend_from_slice(integers.format(output.width).as_bytes());
        }
        out.extend_from_slice(br#"],"data":["#);
        let range = first * output.width..(first + rows) * output.width;
        match output.values {
            Values::F32(values) => floats(&values[range], out),
            Values::I64(values) => {
                for value in &values[range] {
                    out.extend_from_slice(integers.format(*value).as_bytes());
                    out.push(b',');
                }
            }
        }
        out.pop();
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"]}");
}

fn floats(values: &[f32], out: &mut Vec<u8>) {
    let mut buffer = ryu::Buffer::new();
    for value in values {
        out.extend_from_slice(buffer.format(*value).as_bytes());
        out.push(b',');
    }
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The next byte that is not white space, not taken yet.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// A string's raw bytes: names that this server looks for hold no escapes.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            match *self.text.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(&self.text[start..self.at - 1])
    }

    fn object(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            return self.take(b'}');
        }
        loop {
            let key = self.string()?;
            self.take(b':')?;
            member(self, key)?;
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.take(b'}'),
            }
        }
    }

    fn array(&mut self, mut element: impl FnMut(&mut Self, usize) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            return self.take(b']');
        }
        for index in 0.. {
            element(self, index)?;
            match self.peek()? {
                b',' => self.at += 1,
                _ => break,
            }
        }
        self.take(b']')
    }

    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b'{' => self.object(|cursor, _| cursor.skip()),
            b'[' => self.array(|cursor, _| cursor.skip()),
            _ => {
                let rest = &self.text[self.at..];
                self.at += rest.iter().position(|byte| b",]} \n\r\t".contains(byte))?;
                Some(())
            }
        }
    }

    /// The rows of a shape `[rows]` or `[rows, columns]`.
    fn shape(&mut self, columns: usize) -> Option<usize> {
        let mut dimensions = [0.0_f64; 2];
        self.array(|cursor, index| {
            *dimensions.get_mut(index)? = cursor.number()?;
            Some(())
        })?;
        (dimensions[1] as usize == columns).then_some(dimensions[0] as usize)
    }

    fn number<T: fast_float2::FastFloat>(&mut self) -> Option<T> {
        if !matches!(self.peek()?, b'-' | b'0'..=b'9') {
            return None;
        }
        let (value, length) = fast_float2::parse_partial(&self.text[self.at..]).ok()?;
        self.at += length;
        Some(value)
    }

    /// Numbers, flat or nested.
    fn numbers(&mut self, out: &mut Vec<f32>) -> Option<()> {
        self.array(|cursor, _| {
            if cursor.peek()? == b'[' {
                return cursor.numbers(out);
            }
            out.push(cursor.number()?);
            Some(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{read_rows, write_answer};
    use crate::model::{Output, Values};

    fn rows(body: &str) -> Option<(usize, Vec<f32>)> {
        let mut out = Vec::new();
        read_rows(body.as_bytes(), 2, &mut out).map(|rows| (rows, out))
    }

    #[test]
    fn fields_in_any_order_flat_or_nested() {
        let wanted = Some((2, vec![1.0, -2.5, 3e2, 0.0]));
        assert_eq!(rows(r#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,-2.5,3e2,0]}]}"#), wanted);
        let body =
            r#"{"id":"a\"}","x":{"y":[1,null]}, "inputs":[{"data":[[1, -2.5],[3e2, 0]] ,"shape":[2,2]},{"data":[9]}]}"#;
        assert_eq!(rows(body), wanted);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for body in [
            "",
            "{}",
            "[1]",
            r#"{"inputs":[]}"#,
            r#"{"inputs":[{"shape":[1,3],"data":[1,2,3]}]}"#,
            r#"{"inputs":[{"shape":[2,2],"data":[1,2,3]}]}"#,
            r#"{"inputs":[{"shape":[1,2],"data":[1,NaN]}]}"#,
            r#"{"inputs":[{"shape":[1,2],"data":[1,2"#,
        ] {
            assert_eq!(rows(body), None, "{body}");
        }
    }

    #[test]
    fn an_answer_holds_the_rows_asked_for() {
        let outputs = [
            Output { name: "label", values: Values::I64(&[0, 1]), width: 1, flat: true },
            Output { name: "p", values: Values::F32(&[0.75, 0.25, 0.5, 0.5]), width: 2, flat: false },
        ];
        let mut out = Vec::new();
        write_answer(&outputs, 1, 1, &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(value["outputs"][0]["data"], serde_json::json!([1]));
        assert_eq!(value["outputs"][0]["shape"], serde_json::json!([1]));
        assert_eq!(value["outputs"][1]["data"], serde_json::json!([0.5, 0.5]));
        assert_eq!(value["outputs"][1]["shape"], serde_json::json!([1, 2]));
    }
}
