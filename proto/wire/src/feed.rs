//! The feed's messages as bytes made once. A committed transaction is encoded when it is applied; each subscriber's
//! stream only copies those bytes behind a length.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::v1;

/// `annals.v1.FrameBatch.frames` and `annals.v1.SubscribeResponse.frames`.
const FRAMES_OF_BATCH: u32 = 1;
const BATCH_OF_RESPONSE: u32 = 2;

/// A frame as the field of a frame batch: key, length, message.
#[must_use]
pub fn encode_frame(frame: &v1::Frame) -> Bytes {
    let length = frame.encoded_len();
    let whole = key_len(FRAMES_OF_BATCH) + encoded_len_varint(length as u64) + length;
    let mut out = BytesMut::with_capacity(whole);
    encode_key(FRAMES_OF_BATCH, WireType::LengthDelimited, &mut out);
    frame.encode_length_delimited(&mut out).expect("a BytesMut grows");
    out.freeze()
}

/// What a feed sends.
#[derive(Debug)]
pub enum FeedItem {
    /// Any message but frames.
    Message(v1::SubscribeResponse),
    /// Frames that [`encode_frame`] made, oldest first.
    Frames(Vec<Bytes>),
}

/// The codec of the feed's server side: [`FeedItem`] out, `SubscribeRequest` in.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeedCodec;

impl Codec for FeedCodec {
    type Encode = FeedItem;
    type Decode = v1::SubscribeRequest;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for FeedCodec {
    type Item = FeedItem;
    type Error = Status;

    fn encode(&mut self, item: FeedItem, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        match item {
            FeedItem::Message(message) => {
                message.encode(out).map_err(|error| Status::internal(error.to_string()))
            }
            FeedItem::Frames(frames) => {
                let length: usize = frames.iter().map(Bytes::len).sum();
                encode_key(BATCH_OF_RESPONSE, WireType::LengthDelimited, out);
                encode_varint(length as u64, out);
                frames.into_iter().for_each(|frame| out.put(frame));
                Ok(())
            }
        }
    }
}

impl Decoder for FeedCodec {
    type Item = v1::SubscribeRequest;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<v1::SubscribeRequest>, Status> {
        let request = v1::SubscribeRequest::decode(bytes);
        request.map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_frames_read_as_a_batch() {
        let frame = |t| v1::Frame { t, tx_body: Bytes::from(vec![7; 300]), ..v1::Frame::default() };
        let frames: Vec<Bytes> = (1..=3).map(|t| encode_frame(&frame(t))).collect();
        let batch = v1::FrameBatch::decode(Bytes::from(frames.concat())).expect("a batch");
        assert_eq!(batch.frames, (1..=3).map(frame).collect::<Vec<_>>());
    }
}
