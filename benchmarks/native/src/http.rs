//! HTTP/1.1 message framing: where a message in a buffer ends, and what a benchmark needs of it.

/// A whole message found at the start of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of the message, head and body.
    pub length: usize,
    /// Where its body starts.
    pub body: usize,
    /// The peer will close the connection after it.
    pub close: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// More bytes are needed.
    Partial,
    Whole(T),
    /// Not HTTP, or something that these tools do not speak.
    Broken,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub frame: Frame,
    pub is_post: bool,
}

#[must_use]
pub fn request(buffer: &[u8]) -> Parsed<Request> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(buffer) {
        Ok(httparse::Status::Partial) => Parsed::Partial,
        Err(_) => Parsed::Broken,
        Ok(httparse::Status::Complete(body)) => {
            let is_post = head.method == Some("POST");
            match frame(buffer, body, head.headers, Some(0)) {
                Parsed::Whole(frame) => Parsed::Whole(Request { frame, is_post }),
                Parsed::Partial => Parsed::Partial,
                Parsed::Broken => Parsed::Broken,
            }
        }
    }
}

/// A response's status and frame. A response without length and without chunks is `Broken`: with keep-alive it has no end.
#[must_use]
pub fn response(buffer: &[u8]) -> Parsed<(u16, Frame)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    match head.parse(buffer) {
        Ok(httparse::Status::Partial) => Parsed::Partial,
        Err(_) => Parsed::Broken,
        Ok(httparse::Status::Complete(body)) => {
            let status = head.code.unwrap_or(0);
            match frame(buffer, body, head.headers, None) {
                Parsed::Whole(frame) => Parsed::Whole((status, frame)),
                Parsed::Partial => Parsed::Partial,
                Parsed::Broken => Parsed::Broken,
            }
        }
    }
}

fn frame(buffer: &[u8], body: usize, headers: &[httparse::Header], no_length: Option<usize>) -> Parsed<Frame> {
    let mut length = no_length;
    let mut close = false;
    let mut chunked = false;
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            length = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
        } else if header.name.eq_ignore_ascii_case("connection") {
            close = header.value.eq_ignore_ascii_case(b"close");
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = header.value.eq_ignore_ascii_case(b"chunked");
        }
    }
    let length = if chunked {
        match chunks(&buffer[body..]) {
            Parsed::Whole(length) => length,
            Parsed::Partial => return Parsed::Partial,
            Parsed::Broken => return Parsed::Broken,
        }
    } else if let Some(length) = length {
        length
    } else {
        return Parsed::Broken;
    };
    if buffer.len() - body < length {
        return Parsed::Partial;
    }
    Parsed::Whole(Frame { length: body + length, body, close })
}

/// Bytes that a chunked body takes, its last chunk included; trailers are not spoken.
fn chunks(body: &[u8]) -> Parsed<usize> {
    let mut at = 0;
    loop {
        match httparse::parse_chunk_size(&body[at..]) {
            Err(_) => return Parsed::Broken,
            Ok(httparse::Status::Partial) => return Parsed::Partial,
            Ok(httparse::Status::Complete((head, size))) => {
                at += head + size as usize + 2;
                if body.len() < at {
                    return Parsed::Partial;
                }
                if size == 0 {
                    return Parsed::Whole(at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Parsed, request, response};

    #[test]
    fn a_request_is_whole_only_with_its_last_byte() {
        let text = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\ncontent-length: 4\r\n\r\nbody";
        for end in 0..text.len() {
            assert_eq!(request(&text[..end]), Parsed::Partial, "cut at {end}");
        }
        let Parsed::Whole(found) = request(text) else { panic!("not whole") };
        assert_eq!(&text[found.frame.body..found.frame.length], b"body");
        assert!(found.is_post && !found.frame.close);
    }

    #[test]
    fn a_chunked_response_ends_with_its_last_chunk() {
        let text =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nabcd\r\n0\r\n\r\nrest";
        let whole = text.len() - 4;
        for end in 0..whole {
            assert_eq!(response(&text[..end]), Parsed::Partial, "cut at {end}");
        }
        let body = whole - b"4\r\nabcd\r\n0\r\n\r\n".len();
        assert_eq!(response(text), Parsed::Whole((200, Frame { length: whole, body, close: true })));
    }

    #[test]
    fn a_response_without_an_end_is_broken() {
        assert_eq!(response(b"HTTP/1.1 200 OK\r\n\r\n"), Parsed::Broken);
        assert_eq!(response(b"SSH-2.0-x\r\n"), Parsed::Broken);
    }
}
