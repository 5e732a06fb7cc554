//! Where a message ends, and what is read where servers may differ in that.

use super::*;

#[test]
fn bodies_are_walked_and_pipelined_messages_found() {
    let names = ["http.request.method", "http.file_data"];
    let requests = b"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n\r\n\
        PUT / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n5;x=y\r\nabcde\r\n3 \r\nfgh\r\n000\r\nT: 1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n";
    check(
        &names,
        &[(Q, requests)],
        &[
            ">http.request.method=POST",
            ">http.file_data=hello",
            ">http.request.method=GET",
            ">http.request.method=PUT",
            ">http.file_data=abcde",
            ">http.file_data=fgh",
            ">http.request.method=HEAD",
        ],
    );
    check(
        &["http.chunk_size", "http.chunk_extension", "http.chunk_boundary", "http.trailer[t]"],
        &[(Q, requests)],
        &[
            ">http.chunk_size=5",
            ">http.chunk_extension=x=y",
            ">http.chunk_boundary=\\r\\n",
            ">http.chunk_size=3",
            ">http.chunk_boundary=\\r\\n",
            ">http.chunk_size=0",
            ">http.trailer[t]=1",
        ],
    );
    check(&["http.framing_ambiguous", "_ws.malformed"], &[(Q, requests)], &[]);
}

#[test]
fn a_response_is_framed_by_the_request_it_answers() {
    let turns: ReplayTurns<'_> = &[
        (Q, b"HEAD /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\n\r\nGET /5 HTTP/1.0\r\n\r\n"),
        (S, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 304\r\nContent-Length: 4\r\n\r\n"),
        (S, b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
        (S, b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nhiHTTP/1.0 500 so\r\n\r\nall the rest"),
    ];
    check(
        &["http.response.code", "http.file_data"],
        turns,
        &[
            "<http.response.code=200",
            "<http.response.code=103",
            "<http.response.code=304",
            "<http.response.code=200",
            "<http.file_data=x",
            "<http.response.code=404",
            "<http.file_data=hi",
            "<http.response.code=500",
            "<http.file_data=all the rest",
        ],
    );
    check(
        &["http.response.phrase"],
        turns,
        &[
            "<http.response.phrase=OK",
            "<http.response.phrase=Early",
            "<http.response.phrase=",
            "<http.response.phrase=",
            "<http.response.phrase=Not Found",
            "<http.response.phrase=so",
            "!Response SkipRest=",
        ],
    );
}

#[test]
fn the_response_decides_whether_a_tunnel_begins() {
    let ask = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let next = b"GET /evil HTTP/1.1\r\n\r\n";
    let uri = ["http.request.uri"];
    check(
        &uri,
        &[(Q, ask), (S, b"HTTP/1.1 101 Switching\r\n\r\n\x81\x05"), (Q, next)],
        &[">http.request.uri=/ws", "!Response SkipRest=", "!Request SkipRest="],
    );
    check(
        &uri,
        &[(Q, ask), (S, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), (Q, next)],
        &[">http.request.uri=/ws", ">http.request.uri=/evil"],
    );
    let connect = b"CONNECT h:443 HTTP/1.1\r\n\r\n";
    check(
        &uri,
        &[(Q, connect), (S, b"HTTP/1.1 200 OK\r\n\r\n"), (Q, b"\x16\x03\x01")],
        &[">http.request.uri=h:443", "!Request SkipRest="],
    );
    check(
        &uri,
        &[(Q, connect), (S, b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), (Q, next)],
        &[">http.request.uri=h:443", ">http.request.uri=/evil"],
    );
    // A response without a request takes the pairing's worth away.
    check(
        &uri,
        &[
            (S, b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"),
            (Q, connect),
            (S, b"HTTP/1.1 200 OK\r\n\r\n"),
            (Q, next),
        ],
        &[">http.request.uri=h:443", ">http.request.uri=/evil"],
    );
}

/// What comes after such a head is read line by line: the request inside its "body" is found.
#[test]
fn where_servers_may_see_another_end_nothing_is_skipped() {
    for headers in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\x0b: chunked",
        "\x01Transfer-Encoding: chunked",
        "Transfer_Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nContent-Length: 30",
        "Content-Length: +30",
        "Content-Length: 0x1e",
        "Content-Length: 30 ,31",
        "Content-Length: 30;",
        "Content-Length: -1",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Content-Length: 9223372036854775808",
    ] {
        let text = format!(
            "POST /1 HTTP/1.1\r\n{headers}\r\n\r\nxyz\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
        );
        check(
            &["http.request.uri", "http.host"],
            &[(Q, text.as_bytes())],
            &[">http.request.uri=/1", ">http.request.uri=/2", ">http.host=h"],
        );
        check(
            &["http.framing_ambiguous"],
            &[(Q, &text.as_bytes()[..text.find("xyz").unwrap()])],
            &[">http.framing_ambiguous=1"],
        );
    }
}

#[test]
fn where_servers_may_see_another_chunk_nothing_is_skipped() {
    for chunk in [
        "0x5\r\n",
        "+5\r\n",
        " 5\r\n",
        "\r\n",
        "5\n",
        "5 5\r\n",
        "5;a\n",
        "5;\rb\r\n",
        "g\r\n",
        "80000000\r\n",
        "fffffffffffffffff\r\n",
        "1\r\nab\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\na\n\n",
    ] {
        let text = format!(
            "POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}xyz\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
        );
        check(
            &["http.request.uri", "http.host", "http.framing_ambiguous"],
            &[(Q, text.as_bytes())],
            &[
                ">http.request.uri=/1",
                ">http.framing_ambiguous=1",
                ">http.request.uri=/2",
                ">http.host=h",
                ">http.framing_ambiguous=1",
            ][..if chunk.is_empty() { 5 } else { 4 }],
        );
    }
}

#[test]
fn all_bytes_after_an_uncertain_end_are_body_too() {
    let text = b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab\r\nGET /x HTTP/1.1\r\n\r\n";
    check(
        &["http.file_data"],
        &[(Q, text)],
        &[">http.file_data=ab\\r\\nGET /x HTTP/1.1\\r\\n\\r\\n"],
    );
}
