//! Frames over an in-memory stream: cut anywhere, kept only when something is incomplete.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn pair(max: usize) -> (DuplexStream, Frames<DuplexStream>) {
    let (client, server) = tokio::io::duplex(1 << 20);
    (client, Frames::new(server, max))
}

async fn read(frames: &mut Frames<DuplexStream>) -> Result<Vec<String>, Gone> {
    let mut inbox = Vec::new();
    std::future::poll_fn(|cx| frames.poll(cx, &mut inbox)).await?;
    Ok(inbox)
}

#[tokio::test]
async fn a_message_cut_at_every_byte_arrives_and_nothing_is_kept() {
    let whole =
        [masked(0x01, "héllo ".as_bytes()), masked(0x89, b"ping"), masked(0x80, &[b'x'; 300])].concat();
    for cut in 1..whole.len() {
        let (mut client, mut frames) = pair(8192);
        client.write_all(&whole[..cut]).await.unwrap();
        let mut got = read(&mut frames).await.unwrap();
        assert!(frames.live.is_some(), "half a message was forgotten at {cut}");
        client.write_all(&whole[cut..]).await.unwrap();
        got.extend(read(&mut frames).await.unwrap());
        assert_eq!(got, [format!("héllo {}", "x".repeat(300))], "cut at {cut}");
        assert!(frames.live.is_none(), "a parked socket holds something at {cut}");
    }
}

#[tokio::test]
async fn every_violation_is_told_by_its_close_code() {
    let cases: [(Vec<u8>, u16); 6] = [
        (masked(0x82, b"binary"), 1003),
        (masked(0x81, b"\xff\xfe"), 1007),
        (masked(0x81, &[b'x'; 600]), 1009),
        (masked(0x83, b"reserved opcode"), 1002),
        (masked(0xc1, b"reserved bit"), 1002),
        (vec![0x81, 0x02, b'n', b'o'], 1002),
    ];
    for (bytes, code) in cases {
        let (mut client, mut frames) = pair(512);
        client.write_all(&bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let _ = read(&mut frames).await;
        assert!(frames.is_closing());
        drop(frames);
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.unwrap();
        assert_eq!(told[0], 0x88, "no close frame for {bytes:?}");
        assert_eq!(u16::from_be_bytes([told[2], told[3]]), code, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_held_to_a_bound() {
    let (client, server) = tokio::io::duplex(1024);
    let mut frames = Frames::new(server, 8192);
    let sent = (0..1000).take_while(|_| frames.send("x".repeat(1000)).is_ok()).count();
    assert!((60..=80).contains(&sent), "{sent} frames were buffered");
    drop(client);
}

#[tokio::test]
async fn blocked_output_is_sent_when_the_peer_reads() {
    let (mut client, server) = tokio::io::duplex(64);
    let mut frames = Frames::new(server, 8192);
    frames.send("y".repeat(500)).unwrap();
    assert!(frames.is_blocked && frames.live.is_some());
    let reader = tokio::spawn(async move {
        let mut told = vec![0; 504];
        client.read_exact(&mut told).await.unwrap();
        (client, told)
    });
    let mut inbox = Vec::new();
    let (mut client, told) = tokio::select! {
        _ = std::future::poll_fn(|cx| frames.poll(cx, &mut inbox)) => panic!("nothing was sent to the server"),
        told = reader => told.unwrap(),
    };
    assert!(told.ends_with(b"yyy"));
    client.write_all(&masked(0x81, b"back")).await.unwrap();
    assert_eq!(read(&mut frames).await.unwrap(), ["back"]);
    assert!(frames.live.is_none());
}
